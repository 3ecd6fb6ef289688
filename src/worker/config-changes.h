/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/json.h"

/* Applies "changes" of a request (docs/worker-protocol.md), an array of instructions of a
 * Dockerfile, to the "config" of an image's config. CTR_INVALID_ARGUMENT names the one that is
 * wrong. */
int config_apply_changes(json_t *config, json_t *request, Error *e);
