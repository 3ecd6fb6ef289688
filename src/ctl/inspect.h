/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What verbs know about an object beyond its listing. */

#include "basic/json.h"
#include "ctl/client.h"

/* All properties of an image, and its documents as the members "Manifest" and "Config". */
int inspect_image(Client *c, const char *reference, json_t **ret, Error *e);
