/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files of the unified cgroup hierarchy, by descriptors of their directories.
 */

#include <sys/types.h>

#include "basic/error.h"

/* The mount point of the unified hierarchy: two places by convention (the second on machines that
 * still mount v1 controllers), as an O_PATH descriptor. CTR_NOT_IMPLEMENTED if there is none. */
int cgroup_root_open(int *ret_fd, Error *e);

/* The path of a process in the unified hierarchy, without the leading slash, from "0::/path" in its
 * /proc/PID/cgroup; pid 0 is this process. CTR_UNAVAILABLE if it is in none that we see. */
int cgroup_path_of(pid_t pid, char **ret, Error *e);

/* One write(2): that is how the kernel takes a value. */
int cgroup_attribute_write(int cgroup_fd, const char *name, const char *value);

/* The number behind key in an open file of "key number" lines; -ENODATA. Reading from the start is
 * also what re-arms poll() on fd. */
int cgroup_flat_file_get(int fd, const char *key, uint64_t *ret);

/* Walks the subtree below fd and calls each() for every cgroup in it, children first. Goes on after
 * a failure and returns the first one. */
int cgroup_walk(int fd, int (*each)(int parent_fd, const char *name, int fd, int arg), int arg);
