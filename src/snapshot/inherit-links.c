/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The part of snapshot/inherit.h that needs more of the lower layers than attributes. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "snapshot/content.h"
#include "snapshot/inherit.h"
#include "snapshot/marks.h"

/* Looks for a regular file in one layer: 1 and its descriptor; 0 if the layers below may have it;
 * -ENOENT if it is hidden from them; -EINVAL if it is something else. */
static int find_file(int fs_fd, const char *path, int *ret_fd) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *parent = strndup(path, slash ? (size_t) (slash - path) : 0);
        _cleanup_close_ int dir_fd = -1;
        struct stat st;
        bool opaque;
        int fd, r;

        if (!parent)
                return -ENOMEM;
        r = layer_find_directory(fs_fd, parent, &dir_fd, &opaque);
        if (r <= 0)
                return r;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT && !opaque ? 0 : -errno;
        if (mark_is_whiteout(&st))
                return -ENOENT;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 1;
}

/* The file as it is seen through the stack below a layer. */
static int find_lower_file(int fs_fd, const char *path, const int *lower_fds, size_t n_lower,
                           int *ret_fd) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, slash ? (size_t) (slash - path) : 0);
        _cleanup_close_ int dir_fd = -1;
        bool opaque = false;
        int r;

        if (!parent)
                return -ENOMEM;
        /* the layer itself may hide it */
        r = layer_find_directory(fs_fd, parent, &dir_fd, &opaque);
        if (r < 0 || opaque)
                return r < 0 ? r : -ENOENT;
        for (size_t i = 0; i < n_lower; i++) {
                r = find_file(lower_fds[i], path, ret_fd);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return -ENOENT;
}

static int fill_link(int fs_fd, int to_fd, const char *target, const ApplyLimits *limits,
                     const int *lower_fds, size_t n_lower, ApplyResult *result, Error *e) {
        _cleanup_close_ int from_fd = -1;
        struct stat st;
        int r;

        r = find_lower_file(fs_fd, target, lower_fds, n_lower, &from_fd);
        if (r == -ENOENT || r == -EINVAL)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  r == -EINVAL ? "it is no regular file in the layers below"
                                               : "it is neither in its layer nor in those below");
        if (r < 0 || fstat(from_fd, &st) < 0)
                return error_setf(e, r < 0 ? r : -errno, "Failed to open it: %m");
        if ((uint64_t) st.st_blocks * 512 > limits->bytes - MIN_OF(result->bytes, limits->bytes))
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "with it the layer's files are larger than %llu bytes",
                                  (unsigned long long) limits->bytes);
        result->bytes += (uint64_t) MIN_OF(st.st_blocks * 512, st.st_size);
        r = content_copy(from_fd, to_fd, st.st_size, e);
        return r == 0 ? attributes_copy(from_fd, to_fd, e) : r;
}

int layer_inherit_links(int fs_fd, int links_fd, const ApplyLimits *limits, const int *lower_fds,
                        size_t n_lower, ApplyResult *result, Error *e) {
        size_t n = 0;

        assert(limits && result);

        STRV_FOREACH(target, result->links) {
                _cleanup_close_ int fd = -1;
                struct stat st;
                char name[24];
                int r = 0;

                (void) snprintf(name, sizeof(name), "%zu", n++);
                fd = openat(links_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return error_setf(e, -errno, "Failed to open a hard link: %m");
                /* with no other name, the archive has replaced it by something else */
                if (st.st_nlink > 1)
                        r = fill_link(fs_fd, fd, *target, limits, lower_fds, n_lower, result, e);
                if (r != 0)
                        return error_prefix(e, r, "A hard link leads to \"%.200s\"", *target);
                if (unlinkat(links_fd, name, 0) < 0)
                        return error_setf(e, -errno, "Failed to remove a hard link: %m");
        }
        return 0;
}

/* Hides one name of a lower root: by a whiteout, or as the content of a directory that the layer
 * has itself. */
static int hide(int fs_fd, const char *name, ApplyResult *result, Error *e) {
        _cleanup_close_ int fd = -1;

        if (mknodat(fs_fd, name, S_IFCHR, makedev(0, 0)) >= 0) {
                result->inodes++;
                return 0;
        }
        if (errno != EEXIST)
                return error_setf(e, -errno, "Failed to hide \"%s\": %m", name);
        fd = openat(fs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOTDIR || errno == ELOOP
                                       ? 0
                                       : error_setf(e, -errno, "Failed to open \"%s\": %m", name);
        if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
                return error_setf(e, -errno, "Failed to make the directory \"%s\" opaque: %m",
                                  name);
        return 0;
}

static int hide_all(int fs_fd, int lower_fd, ApplyResult *result, Error *e) {
        DIR *stream = dir_stream_open_at(lower_fd, ".");
        struct dirent *entry;
        int r = 0;

        if (!stream)
                return error_setf(e, -errno, "Failed to read a lower layer: %m");
        while (r == 0 && (errno = 0, entry = readdir(stream)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = hide(fs_fd, entry->d_name, result, e);
        if (r == 0 && errno != 0)
                r = error_setf(e, -errno, "Failed to read a lower layer: %m");
        (void) closedir(stream);
        return r;
}

int layer_inherit_opaque_root(int fs_fd, const int *lower_fds, size_t n_lower, ApplyResult *result,
                              Error *e) {
        _cleanup_close_ int fd = -1;
        bool opaque = false;
        int r;

        assert(result);

        r = layer_find_directory(fs_fd, "", &fd, &opaque);
        if (r < 0)
                return error_setf(e, r, "Failed to open a layer: %m");
        for (size_t i = 0; opaque && i < n_lower; i++) {
                r = hide_all(fs_fd, lower_fds[i], result, e);
                if (r != 0)
                        return r;
        }
        return 0;
}
