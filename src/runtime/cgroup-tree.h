/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files of the unified cgroup hierarchy, by descriptors of their directories.
 */

#include <stdint.h>

/* One write(2): that is how the kernel takes a value. */
int cgroup_attribute_write(int cgroup_fd, const char *name, const char *value);

/* The number behind key in an open file of "key number" lines; -ENODATA. Reading from the start is
 * also what re-arms poll() on fd. */
int cgroup_flat_file_get(int fd, const char *key, uint64_t *ret);

/* Walks the subtree below fd and calls each() for every cgroup in it, children first. Goes on after
 * a failure and returns the first one. */
int cgroup_walk(int fd, int (*each)(int parent_fd, const char *name, int fd, int arg), int arg);
