/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroups (v2) that processes of a container are in. */

#include <sys/types.h>

#include "basic/error.h"

/* Opens the cgroup that pid is in now, which is cgroup_fd's or one below it; whatever the container
 * renames or removes meanwhile, nothing else is opened. pid: an unreaped child of the caller, of a
 * /proc that is the host's. */
int cgroup_open_of(int cgroup_fd, pid_t pid, int *ret_fd, Error *e);
