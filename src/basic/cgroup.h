/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the unified cgroup hierarchy is, and where in it a process is. */

#include <sys/types.h>

#include "basic/error.h"

/* The mount point of the unified hierarchy: two places by convention (the second on machines that
 * still mount v1 controllers), as an O_PATH descriptor. CTR_NOT_IMPLEMENTED if there is none. */
int cgroup_root_open(int *ret_fd, Error *e);

/* The path of a process in the unified hierarchy, without the leading slash ("" is its root), from
 * the line "0::/path" of its /proc/PID/cgroup; pid 0 is this process. CTR_UNAVAILABLE if it is in
 * none that we see: no such line, or it is outside of our cgroup namespace. -ENOENT or -ESRCH if
 * there is no such process. */
int cgroup_path_of(pid_t pid, char **ret, Error *e);

/* The same from the text of such a file, which is changed: the path lies in it; NULL: none. */
char *cgroup_path_in(char *text);

/* Whether there is a process in the cgroup dir_fd/path or below it: 1, 0, or negative errno
 * (-ENOENT: no such cgroup). A process that has ended and was not waited for is none. */
int cgroup_is_populated(int dir_fd, const char *path);
