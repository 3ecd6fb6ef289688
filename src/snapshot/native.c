/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/native.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "basic/fs.h"
#include "snapshot/overlayfs.h"

#define NULL_DEVICE makedev(1, 3)

int native_check(int dir_fd, Error *e) {
        char name[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fd = -1;
        int r;

        r = overlayfs_create(dir_fd, name, &fd, e);
        if (r != 0)
                return r;
        /* what a root file system may have in it */
        if (mknodat(fd, "device", S_IFCHR | 0600, NULL_DEVICE) < 0)
                r = error_setf(e, CTR_NOT_IMPLEMENTED,
                               "The snapshots' file system takes no device nodes: %s",
                               errno == EPERM ? "no privilege" : "not supported");
        else if (fchownat(fd, "device", 1, 1, AT_SYMLINK_NOFOLLOW) < 0)
                r = error_setf(e, CTR_NOT_IMPLEMENTED,
                               "The snapshots' file system does not keep the owners of files");
        (void) tree_remove_at(dir_fd, name);
        return r;
}

int native_prepare(int dir_fd, uint64_t n, uint64_t parent, const char *tree, Error *e) {
        char name[OVERLAYFS_NAME_SIZE], published[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fd = -1;
        int r;

        assert(!!tree == (parent > 0));

        if (tree)
                return overlayfs_adopt(dir_fd, tree, n, e);
        r = overlayfs_create(dir_fd, name, &fd, e);
        if (r != 0)
                return r;
        r = overlayfs_publish(dir_fd, name, published, e);
        if (r != 0) {
                (void) tree_remove_at(dir_fd, name);
                return r;
        }
        r = overlayfs_adopt(dir_fd, published, n, e);
        if (r != 0)
                (void) tree_remove_at(dir_fd, published);
        return r;
}

int native_mount(const SnapshotStack *stack, SnapshotMount *ret, Error *e) {
        return snapshot_mount_bind(stack->root, NATIVE_DIRECTORY, stack->n, stack->view, ret);
}
