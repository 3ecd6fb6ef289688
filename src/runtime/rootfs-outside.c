/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/rootfs-outside.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "runtime/mount.h"

static int separate_mounts(Error *e) {
        struct mount_attr attr = {.propagation = MS_SLAVE};

        if (unshare(CLONE_NEWNS) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace: %m");
        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return error_setf(e, -errno, "Failed to separate the mounts from the host's: %m");
        return 0;
}

int rootfs_make_outside(const RootfsParameters *p, int bundle_fd, const char *path, int *ret_fd,
                        Error *e) {
        _cleanup_close_ int root_fd = -1, copy_fd = -1;
        bool attached = false;
        int r = 0;

        /* the bundle's descriptor is of the mount namespace that it was opened in */
        if (!p->lower)
                r = rootfs_open_directory(bundle_fd, path, &root_fd, e);
        if (r == 0)
                r = separate_mounts(e);
        if (r == 0 && p->lower)
                r = rootfs_make_overlay(p, &root_fd, &attached, e);
        if (r != 0)
                return r;
        if (attached) {
                /* on top of "/", where older kernels must have it */
                copy_fd = mount_clone(root_fd, false);
                if (copy_fd < 0)
                        return error_setf(e, copy_fd, "Failed to copy the root mount: %m");
                root_fd = fd_close(root_fd);
                if (umount2("/..", MNT_DETACH) < 0)
                        return error_setf(e, -errno, "Failed to move the root mount: %m");
                root_fd = TAKE_FD(copy_fd);
        }
        r = mount_change(root_fd, 0, 0, MS_PRIVATE, true);
        if (r < 0)
                return error_setf(e, r, "Failed to set the propagation of the root: %m");
        *ret_fd = TAKE_FD(root_fd);
        return 0;
}

int rootfs_attach_outside(int root_fd, const char *target, Error *e) {
        _cleanup_close_ int target_fd = -1;
        int r;

        target_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (target_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", target);
        r = mount_attach(root_fd, target_fd);
        return r < 0 ? error_setf(e, r, "Failed to mount the root on %s: %m", target) : 0;
}
