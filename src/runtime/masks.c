/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/masks.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/filesystems.h"
#include "runtime/mount.h"
#include "runtime/path.h"

static int open_null(Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to open /dev/null: %m");
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                return error_setf(e, -ENODEV, "/dev/null is not the null device");
        return TAKE_FD(fd);
}

/* The empty directory is one file system for all masks: made at the first, copied for the others
 * from where the first is attached. */
static int empty_directory(int *first_fd, Error *e) {
        static const char *const parameters[] = {"mode=0755", "nr_inodes=2", "size=4k"};
        _cleanup_close_ int fd = -1;
        int r;

        if (*first_fd >= 0) {
                fd = mount_clone(*first_fd, false);
                if (fd < 0)
                        return error_setf(e, fd, "Failed to copy the empty directory: %m");
                return TAKE_FD(fd);
        }
        r = mount_new("tmpfs", "tmpfs", parameters, ELEMENTSOF(parameters), &fd, e);
        if (r != 0)
                return r < 0 ? r : -EINVAL; /* >= 0 is a descriptor here */
        r = mount_change(fd,
                         MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                         MOUNT_ATTR_NOEXEC,
                         0, 0, false);
        if (r < 0)
                return error_setf(e, r, "Failed to make the empty directory read-only: %m");
        *first_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (*first_fd < 0)
                return error_setf(e, -errno, "Failed to duplicate a descriptor: %m");
        return TAKE_FD(fd);
}

static int mask(int root_fd, const char *path, int null_fd, int *first_fd, Error *e) {
        _cleanup_close_ int target_fd = -1, fd = -1;
        struct stat st;
        int r;

        target_fd = path_open(root_fd, path, O_PATH);
        if (target_fd == -ENOENT || target_fd == -ENOTDIR)
                return 0;
        if (target_fd < 0)
                return error_setf(e, target_fd, "Failed to open %s to mask it: %m", path);
        if (fstat(target_fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat %s: %m", path);
        if (S_ISDIR(st.st_mode)) {
                fd = empty_directory(first_fd, e);
                if (fd < 0)
                        return fd;
        } else {
                fd = mount_clone(null_fd, false);
                if (fd < 0)
                        return error_setf(e, fd, "Failed to copy /dev/null: %m");
                /* out of the host's peer group, where a checkpoint could not find its master */
                r = mount_change(fd, 0, 0, MS_PRIVATE, false);
                if (r < 0)
                        return error_setf(e, r, "Failed to separate /dev/null from the host's: %m");
        }
        r = mount_attach(fd, target_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to mask %s: %m", path);
        return 0;
}

int masks_apply(const Spec *spec, int root_fd, Error *e) {
        _cleanup_close_ int null_fd = -1, first_fd = -1;
        int r;

        if (spec->n_masked_paths == 0)
                return 0;
        null_fd = open_null(e);
        if (null_fd < 0)
                return null_fd;
        for (size_t i = 0; i < spec->n_masked_paths; i++) {
                r = mask(root_fd, spec->masked_paths[i], null_fd, &first_fd, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int make_readonly(int root_fd, const char *path, Error *e) {
        _cleanup_close_ int target_fd = -1, fd = -1;
        int r;

        target_fd = path_open(root_fd, path, O_PATH);
        if (target_fd == -ENOENT || target_fd == -ENOTDIR)
                return 0;
        if (target_fd < 0)
                return error_setf(e, target_fd, "Failed to open %s to make it read-only: %m", path);
        fd = mount_clone(target_fd, true);
        if (fd < 0)
                return error_setf(e, fd, "Failed to bind %s: %m", path);
        r = mount_change(fd, MOUNT_ATTR_RDONLY, 0, 0, true);
        if (r >= 0)
                r = mount_attach(fd, target_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to make %s read-only: %m", path);
        return 0;
}

int readonly_paths_apply(const Spec *spec, int root_fd, bool late, Error *e) {
        int r;

        for (size_t i = 0; i < spec->n_readonly_paths; i++) {
                if (filesystems_is_late(spec, spec->readonly_paths[i]) != late)
                        continue;
                r = make_readonly(root_fd, spec->readonly_paths[i], e);
                if (r != 0)
                        return r;
        }
        return 0;
}
