/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Paths of the container, resolved by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) below a
 * descriptor of its root.
 *
 * Invariant: whatever symbolic links, ".." and magic links an image contains, and whoever changes
 * them meanwhile, what these functions open or make lies below root_fd. Absolute and relative paths
 * both start there.
 */

#include <fcntl.h>

#include "basic/error.h"

/* Opens with flags | O_CLOEXEC. Descriptor or -errno. */
int path_open(int root_fd, const char *path, int flags);

/* As path_open() with O_PATH, but refuses every symbolic link on the way (-ELOOP). */
int path_open_straight(int root_fd, const char *path);

/* Opens the directory (O_PATH), making what is missing with mode 0755. Descriptor or -errno. */
int path_make_directory(int root_fd, const char *path);

/* Opens (O_PATH) the parent directory of path, making what is missing. *ret_name points to the last
 * component in path, which must not be "", "." or "..". Descriptor or -errno. */
int path_make_parent(int root_fd, const char *path, const char **ret_name);

/* Opens (O_PATH) something to mount on: an existing file or directory, else made as an empty one,
 * parents included; a file also where a link leads to that nothing is at yet. The kind must fit:
 * -ENOTDIR, -EISDIR. Descriptor or -errno. */
int path_make_mountpoint(int root_fd, const char *path, bool directory);
