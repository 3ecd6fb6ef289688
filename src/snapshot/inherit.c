/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/inherit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "snapshot/marks.h"

#define XATTR_LIST_MAX 65536

static int copy_xattr(int from_fd, int to_fd, const char *name, char *buf, Error *e) {
        ssize_t n;

        if (startswith(name, "trusted.overlay.") || startswith(name, "user.overlay.") ||
            streq(name, "security.selinux"))
                return 0;
        n = fgetxattr(from_fd, name, buf, XATTR_SIZE_MAX);
        if (n < 0)
                return errno == ENODATA ? 0
                                        : error_setf(e, -errno, "Failed to read attribute %s: %m",
                                                     name);
        if (fsetxattr(to_fd, name, buf, (size_t) n, 0) < 0)
                return error_setf(e, -errno, "Failed to set attribute %s: %m", name);
        return 0;
}

static int copy_xattrs(int from_fd, int to_fd, Error *e) {
        _cleanup_free_ char *names = NULL, *buf = NULL;
        ssize_t n;

        n = flistxattr(from_fd, NULL, 0);
        if (n == 0 || (n < 0 && errno == ENOTSUP))
                return 0;
        names = malloc(XATTR_LIST_MAX);
        buf = malloc(XATTR_SIZE_MAX);
        if (!names || !buf)
                return -ENOMEM;
        n = flistxattr(from_fd, names, XATTR_LIST_MAX);
        if (n < 0)
                return error_setf(e, -errno, "Failed to list extended attributes: %m");
        for (const char *p = names; p < names + n; p += strlen(p) + 1) {
                int r = copy_xattr(from_fd, to_fd, p, buf, e);

                if (r != 0)
                        return r;
        }
        return 0;
}

int attributes_copy(int from_fd, int to_fd, Error *e) {
        struct timespec times[2];
        struct stat st;
        int r;

        if (fstat(from_fd, &st) < 0)
                return error_setf(e, -errno, "Failed to read attributes: %m");
        if (fchown(to_fd, st.st_uid, st.st_gid) < 0 || fchmod(to_fd, st.st_mode & 07777) < 0)
                return error_setf(e, -errno, "Failed to set owner and mode: %m");
        r = copy_xattrs(from_fd, to_fd, e);
        if (r != 0)
                return r;
        times[0] = times[1] = st.st_mtim;
        if (futimens(to_fd, times) < 0)
                return error_setf(e, -errno, "Failed to set the time: %m");
        return 0;
}

int layer_find_directory(int fs_fd, const char *path, int *ret_fd, bool *ret_opaque) {
        _cleanup_close_ int current = -1;
        char name[NAME_MAX + 1];
        bool opaque;
        int r;

        current = openat(fs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (current < 0)
                return -errno;
        opaque = mark_is_opaque(current);
        while ((r = path_next(&path, name)) > 0) {
                int next = openat(current, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

                if (next < 0) {
                        if (errno == ENOENT && !opaque)
                                return 0;
                        /* a whiteout, or something that is no directory */
                        return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
                }
                fd_close(current);
                current = next;
                opaque = opaque || mark_is_opaque(current);
        }
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(current);
        *ret_opaque = opaque;
        return 1;
}

/* What the stack of lower layers has as that directory: 1 and its descriptor, or 0. */
static int find_lower(const char *path, const int *lower_fds, size_t n_lower, int *ret_fd,
                      Error *e) {
        for (size_t i = 0; i < n_lower; i++) {
                bool opaque;
                int r;

                r = layer_find_directory(lower_fds[i], path, ret_fd, &opaque);
                if (r == 1 || r == -ENOENT)
                        return r == 1;
                if (r < 0)
                        return error_setf(e, r, "Failed to open the lower directory \"%s\": %m",
                                          path);
        }
        return 0;
}

/* A directory of the layer itself: 1, its descriptor and whether lower ones show through; 0 if a
 * later entry of the layer took its place. */
static int find_own(int fs_fd, const char *path, int *ret_fd, bool *ret_opaque, Error *e) {
        int r;

        r = layer_find_directory(fs_fd, path, ret_fd, ret_opaque);
        if (r >= 0 || r == -ENOENT)
                return r == 1;
        return error_setf(e, r, "Failed to open the directory \"%s\": %m", path);
}

static int inherit_attributes(int fs_fd, const char *path, const int *lower_fds, size_t n_lower,
                              Error *e) {
        _cleanup_close_ int to_fd = -1, from_fd = -1;
        bool opaque;
        int r;

        r = find_own(fs_fd, path, &to_fd, &opaque, e);
        if (r == 1)
                r = find_lower(path, lower_fds, n_lower, &from_fd, e);
        if (r != 1)
                return r;
        r = attributes_copy(from_fd, to_fd, e);
        return r == 0 ? 0 : error_prefix(e, r, "Directory \"%s\"", path);
}

static int remove_whiteouts(int dir_fd, ApplyResult *result) {
        _cleanup_closedir_ DIR *stream = dir_stream_open_at(dir_fd, ".");
        struct timespec times[2];
        struct dirent *entry;
        struct stat st;

        if (!stream || fstat(dir_fd, &st) < 0)
                return -errno;
        times[0] = times[1] = st.st_mtim;
        while ((errno = 0, entry = readdir(stream))) {
                if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                if (!mark_is_whiteout(&st))
                        continue;
                if (unlinkat(dir_fd, entry->d_name, 0) < 0)
                        return -errno;
                result->inodes--;
        }
        return errno != 0 || futimens(dir_fd, times) < 0 ? -errno : 0;
}

static int clean_directory(int fs_fd, const char *path, const int *lower_fds, size_t n_lower,
                           ApplyResult *result, Error *e) {
        _cleanup_close_ int fd = -1, lower_fd = -1;
        bool opaque;
        int r;

        r = find_own(fs_fd, path, &fd, &opaque, e);
        if (r != 1)
                return r;
        /* what hides everything below the root has whiteouts there instead of a mark */
        if (!opaque || !*path) {
                r = find_lower(path, lower_fds, n_lower, &lower_fd, e);
                if (r != 0)
                        return r == 1 ? 0 : r;
        }
        r = remove_whiteouts(fd, result);
        return r == 0 ? 0
                      : error_setf(e, r, "Failed to remove whiteouts in the directory \"%s\": %m",
                                   path);
}

int layer_inherit(int fs_fd, int links_fd, const ApplyLimits *limits, const int *lower_fds,
                  size_t n_lower, ApplyResult *result, Error *e) {
        int r;

        r = layer_inherit_links(fs_fd, links_fd, limits, lower_fds, n_lower, result, e);
        STRV_FOREACH(path, r == 0 ? result->implied : NULL) {
                r = inherit_attributes(fs_fd, *path, lower_fds, n_lower, e);
                if (r != 0)
                        return r;
        }
        STRV_FOREACH(path, r == 0 ? result->hiding : NULL) {
                r = clean_directory(fs_fd, *path, lower_fds, n_lower, result, e);
                if (r != 0)
                        return r;
        }
        return r != 0 ? r : layer_inherit_opaque_root(fs_fd, lower_fds, n_lower, result, e);
}
