/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files as whole values: read with a bound, written to a temporary name and renamed, trees removed
 * through descriptors. Nothing here follows a symbolic link in the last component.
 */

#include <limits.h>

#include "basic/macro.h"

/* Reads a whole regular file of at most max bytes. *ret_data is NUL-terminated beyond *ret_size
 * (which may be NULL). -EFBIG if it is larger, -EISDIR or -EBADF if it is no regular file. */
int file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* The same from an open descriptor, from its current position to its end; any kind of file. */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size);

/* Writes all of data, also through short writes and EINTR. */
int fd_write_all(int fd, const void *data, size_t size);

typedef enum FileWriteFlags {
        FILE_WRITE_SYNC = 1 << 0, /* fsync the file before and the directory after the rename */
} FileWriteFlags;

/* Writes to ".#<name>" in the same directory and renames it over name: a reader sees the old or the
 * new content, never a part. On failure the old one is untouched and the temporary one is gone. */
int file_write_atomic_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
                         FileWriteFlags flags);

/* Opens dir_fd/path as a directory (O_DIRECTORY|O_CLOEXEC|O_NOFOLLOW), making it (and, as the path
 * has slashes, its parents) with mode where missing. Returns the descriptor or -errno. */
int dir_open_make_at(int dir_fd, const char *path, mode_t mode);

/* Opens dir_fd/path (not a symbolic link) to be read with readdir(); dir_fd's own position, if it
 * is the same directory ("."), stays where it is. The stream or NULL with errno. */
DIR *dir_stream_open_at(int dir_fd, const char *path);

/* Removes name and everything below it; a missing one is no error. Never leaves dir_fd: directories
 * are entered by descriptor with O_NOFOLLOW, and mount points are not crossed (-EXDEV). Depth is
 * not limited by the stack or by PATH_MAX. */
int tree_remove_at(int dir_fd, const char *name);

/* The next component of a path, for a walk down: copies it, and moves *path behind it and behind
 * the slashes that follow. 1, 0 at the end of the path, or -ENAMETOOLONG. "." and ".." are
 * components like any other. */
int path_next(const char **path, char ret_component[static NAME_MAX + 1]);

/* True if path is prefix or lies below it, as text: both absolute, slashes repeated at will. */
bool path_is_below(const char *path, const char *prefix) _pure_;
