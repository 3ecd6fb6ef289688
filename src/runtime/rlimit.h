/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Resource limits of a document, applied. */

#include <jansson.h>
#include <sys/resource.h>

#include "basic/error.h"
#include "basic/rlimit.h"

struct SpecRlimits;

/* False if it is no limit. -1 is RLIM_INFINITY. */
bool rlimit_value_from_json(json_t *j, rlim_t *ret);

/* Applies all but what the process itself still needs: a lower RLIMIT_NOFILE (it opens files) and a
 * lower RLIMIT_NPROC (a clone of it becomes the program). Called with last, applies these, which
 * needs no privilege; call it with last false before. All together CTR_PERMISSION_DENIED for a hard
 * limit that this process may not raise. */
int rlimits_apply(const struct SpecRlimits *limits, bool last, Error *e);
