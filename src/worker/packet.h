/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The packets of docs/worker-protocol.md that the worker sends, made from the state of a pull. Each
 * returns a new object, or NULL if memory is short. */

#include "basic/json.h"
#include "worker/pull.h"

/* The phase of the whole job: while layers are worked on, it is that of the slowest. Called with
 * the mutex held. */
JobPhase pull_job_phase(const Pull *p);

/* Takes the mutex. */
json_t *pack_progress(Pull *p);

json_t *pack_plan(const Pull *p);

/* Of a finished job without error. */
json_t *pack_result(const Pull *p);
