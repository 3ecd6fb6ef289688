/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names below one directory, and no way out of it: nothing here ever opens a path of which a
 * component is a symbolic link. A link that an archive has made is read and resolved as text, with
 * that directory as its "/", and what comes out is opened like any other name.
 */

#include <limits.h>

#include "basic/error.h"

/* Opens path ("" for the directory itself) by openat2() with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS
 * and RESOLVE_NO_XDEV. Descriptor or -errno. */
int beneath_open(int root_fd, const char *path, int flags);

/* Replaces the symbolic links in path, the last component included, as the kernel would if root_fd
 * were the root (RESOLVE_IN_ROOT), except that ".." is taken back as text. What is not there is
 * kept as it is. ret has no links and no ".." and may be "". CTR_INVALID_ARGUMENT for loops and for
 * names that become too long. */
int beneath_resolve(int root_fd, const char *path, char ret[static PATH_MAX], Error *e);
