/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What walking a tree that somebody else may be changing has in common: names in an order that does
 * not depend on the file system, and files that are looked at and opened by one descriptor, so that
 * what was looked at is what is opened. Nothing here follows a symbolic link.
 */

#include <sys/stat.h>

#include "basic/error.h"

#define WALK_DEPTH_MAX 1024U

typedef struct WalkNames {
        char **names; /* sorted by their bytes, without "." and ".." */
        size_t n;
} WalkNames;

/* The names in a directory; at most max of them (CTR_RESOURCE_EXHAUSTED). path names it in errors.
 */
int walk_names(int dir_fd, const char *path, uint64_t max, WalkNames *ret, Error *e);
void walk_names_clear(WalkNames *n);
bool walk_names_has(const WalkNames *n, const char *name) _pure_;

/* Opens name with O_PATH and looks at it. -ENOENT (without a text) if it is not there. */
int walk_open(int dir_fd, const char *name, const char *path, int *ret_fd, struct stat *ret_st,
              Error *e);

/* Opens the directory, or the regular file, behind an O_PATH descriptor for reading. Descriptor or
 * -errno. */
int walk_reopen(int path_fd, bool directory);
