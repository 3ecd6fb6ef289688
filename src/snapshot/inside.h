/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names in a container, which may be running and is not trusted: they are resolved by the kernel
 * with one directory as "/" (RESOLVE_IN_ROOT), and never as text. Whatever the container does to
 * its links meanwhile, nothing outside of that directory, and of what is mounted below it, is
 * reached. snapshot/beneath.h is for trees that hold still.
 */

#include <limits.h>
#include <sys/stat.h>

#include "basic/error.h"

/* A file in the container. */
typedef struct InsideFile {
        int fd; /* O_PATH */
        struct stat st;
        char name[NAME_MAX + 1]; /* what an archive calls it: the last part of the path that was
                                  * asked for; "." for "/" and where that part is "." or ".." */
} InsideFile;

#define INSIDE_FILE_NULL ((InsideFile){.fd = -1})

/* Opens path, absolute or relative to "/", below a root directory. A link in the last place is
 * followed with follow, and with a slash or "/." behind it, which also asks for a directory.
 * CTR_NOT_FOUND, CTR_FAILED_PRECONDITION (no directory), CTR_INVALID_ARGUMENT (loops, too long, one
 * of the links of /proc), CTR_PERMISSION_DENIED. */
int inside_find(int root_fd, const char *path, bool follow, InsideFile *ret, Error *e);
void inside_file_clear(InsideFile *f);

/* openat2() in the root. Descriptor or -errno. */
int inside_open(int root_fd, const char *path, int flags);
