/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroup that holds the processes of a task: "payload", beside the supervisor's own. */

#include "manager/task.h"

/* A readable directory descriptor (CLOEXEC) of the task's payload. CTR_NOT_FOUND
 * "cgroup does not exist" (D24) when the task has ended or its supervisor cannot be found. */
int task_cgroup_open(const Task *t, int *ret_fd, Error *e);

/* Whether nobody is in the scope of that name, as far as can be seen: systemd may keep it for all
 * that. */
bool scope_is_deserted(const char *unit);

/* The pids of every process in the cgroup and all below it, ascending, each once. Processes of a
 * pid namespace that we do not see are left out. 0 or negative errno: -E2BIG for more than
 * CGROUP_PIDS_MAX, -ELOOP for a tree that is too deep. */
#define CGROUP_PIDS_MAX 131072U
int cgroup_read_pids(int cgroup_fd, pid_t **ret, size_t *ret_n);
