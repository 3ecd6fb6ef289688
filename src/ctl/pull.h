/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fetching an image as a job of the service, with its progress on standard error. */

#include "basic/json.h"
#include "ctl/client.h"

/* Pulls and waits for the end; policy is "always", "missing", "never" or NULL for what the service
 * takes. The other options of the command line count as far as the verb has them. Errors and
 * interrupts are job_run()'s. *ret (may be NULL) is the result, an object. */
int pull_image(Client *c, const char *reference, const char *policy, json_t **ret, Error *e);
