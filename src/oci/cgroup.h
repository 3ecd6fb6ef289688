/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The container's cgroup: a directory of the unified hierarchy that we make ourselves, or one that
 * systemd makes for a scope (scope.h). Either way the container's processes are directly in it.
 *
 * Invariant: a cgroup that we made is removed only when nothing lives in it.
 */

#include "oci/cgroup-limits.h"
#include "oci/state.h"

/* Reads linux.cgroupsPath (cgroup-plan.c): says which cgroup it will be, in s->cgroup (a plain one)
 * or s->scope and *ret_slice. */
int cgroup_plan(const Context *c, json_t *config, State *s, char **ret_slice, Error *e);

/* Makes a plain one, for an init that is to be cloned into it. *ret_fd is its directory; -1 if it
 * will be a scope, and, with s->cgroup NULL, if a user who may make none wants no limits either. */
int cgroup_make(const Context *c, State *s, const Limits *limits, int *ret_fd, Error *e);

/* Applies the limits, to which a scope belongs: it is made around the process pid, and *fd and
 * s->cgroup are known then. */
int cgroup_limit(const Context *c, State *s, const char *slice, pid_t pid, const Limits *limits,
                 int *fd, Error *e);

/* SIGKILL to all that is in it, waits until it is gone, and removes it; and with it the resctrl
 * groups, in which nobody is then. */
int cgroup_destroy(const State *s, Error *e);

/* Freezes or thaws, and waits until that is done. */
int cgroup_freeze(int cgroup_fd, bool freeze, Error *e);
