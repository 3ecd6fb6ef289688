/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Of a container's document what is needed after init was cloned: the hooks of its start and its
 * end, and what they are told.
 */

#include "runtime/container-setup.h"

typedef struct Late Late;

/* *ret stays NULL if there are no such hooks. 0 or -ENOMEM. */
int late_new(const Setup *s, Late **ret);
Late *late_free(Late *l);
DEFINE_CLEANUP(Late *, late_free);

/* As container_hooks_begin(), of the container whose init is pid. *ret is left alone if there are
 * none. */
int late_hooks_begin(const Late *l, pid_t pid, HookPoint point, uint64_t timeout_usec,
                     HooksRun **ret, Error *e);
