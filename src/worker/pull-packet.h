/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The packets of docs/worker-protocol.md about a pull. What makes one returns a new object, or NULL
 * if memory is short. */

#include "worker/pull.h"

/* Takes the mutex. */
json_t *pack_pull_progress(Pull *p);

json_t *pack_pull_plan(const Pull *p);

/* Takes `have`; packet NULL: nobody has anything. */
int unpack_pull_have(Pull *p, json_t *packet, Error *e);

/* Of a finished job without error. */
json_t *pack_pull_result(const Pull *p);
