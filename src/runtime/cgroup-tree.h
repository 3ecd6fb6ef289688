/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files of the unified cgroup hierarchy, by descriptors of their directories.
 */

#include <stdint.h>
#include <sys/types.h>

#define CGROUP_PROCS_MAX (8U * 1024 * 1024) /* cgroup.procs: a million pids */

/* One write(2): that is how the kernel takes a value. */
int cgroup_attribute_write(int cgroup_fd, const char *name, const char *value);

/* The number behind key in an open file of "key number" lines; -ENODATA. Reading from the start is
 * also what re-arms poll() on fd. */
int cgroup_flat_file_get(int fd, const char *key, uint64_t *ret);

/* Calls each() for every process in the cgroup and in those below it, which changes meanwhile if it
 * is not frozen. Goes on after a failure and returns the first one. */
int cgroup_each_process(int fd, int (*each)(pid_t pid, void *userdata), void *userdata);

/* Removes the cgroup parent_fd/path, whose directory is fd, and what is below it. Nobody lives in
 * them any more (else -EBUSY). One that is gone is no error. */
int cgroup_remove_tree(int parent_fd, const char *path, int fd);
