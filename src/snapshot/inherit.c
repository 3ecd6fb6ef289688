/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/inherit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/strv.h"

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

static bool is_opaque(int fd) {
        char value;

        return fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

int layer_find_directory(int fs_fd, const char *path, int *ret_fd, bool *ret_opaque) {
        _cleanup_close_ int current = -1;
        bool opaque;

        current = openat(fs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (current < 0)
                return -errno;
        opaque = is_opaque(current);
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");
                char name[NAME_MAX + 1];
                int next;

                if (n > NAME_MAX)
                        return -ENAMETOOLONG;
                memcpy(name, p, n);
                name[n] = '\0';
                p += n + (p[n] == '/');
                next = openat(current, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (next < 0) {
                        if (errno == ENOENT && !opaque)
                                return 0;
                        /* a whiteout, or something that is no directory */
                        return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
                }
                fd_close(current);
                current = next;
                opaque = opaque || is_opaque(current);
        }
        *ret_fd = TAKE_FD(current);
        *ret_opaque = opaque;
        return 1;
}

static int inherit_one(int fs_fd, const char *path, const int *lower_fds, size_t n_lower,
                       Error *e) {
        _cleanup_close_ int to_fd = -1;
        bool opaque;
        int r;

        r = layer_find_directory(fs_fd, path, &to_fd, &opaque);
        if (r == 0 || r == -ENOENT)
                return 0; /* a later entry of the layer took its place */
        if (r < 0)
                return error_setf(e, r, "Failed to open the directory \"%s\": %m", path);

        for (size_t i = 0; i < n_lower; i++) {
                _cleanup_close_ int from_fd = -1;

                r = layer_find_directory(lower_fds[i], path, &from_fd, &opaque);
                if (r == -ENOENT)
                        return 0;
                if (r < 0)
                        return error_setf(e, r, "Failed to open the lower directory \"%s\": %m",
                                          path);
                if (r == 0)
                        continue;
                r = attributes_copy(from_fd, to_fd, e);
                if (r != 0)
                        return error_prefix(e, r, "Directory \"%s\"", path);
                return 0;
        }
        return 0;
}

int layer_inherit(int fs_fd, char *const *implied, const int *lower_fds, size_t n_lower, Error *e) {
        STRV_FOREACH(path, implied) {
                int r = inherit_one(fs_fd, *path, lower_fds, n_lower, e);

                if (r != 0)
                        return r;
        }
        return 0;
}
