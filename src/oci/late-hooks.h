/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The hooks that are run by another process than the one that made the container: poststart by who
 * starts it, poststop by who deletes it. What they take is kept in the container's directory, and
 * only if there are any.
 */

#include "oci/state.h"
#include "runtime/hooks.h"

#define STATE_HOOKS "hooks.json"

/* Keeps those of the document, which is valid. */
int late_hooks_keep(const State *s, json_t *document, Error *e);

/* Runs those of a point; 0 if there are none. A failure of poststop is to be a warning. */
int late_hooks_run(const State *s, HookPoint point, Error *e);

/* poststop, whose failure is logged (runtime.md, step 13). */
void late_hooks_stop(const State *s);
