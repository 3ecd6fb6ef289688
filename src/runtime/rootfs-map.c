/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The layers of a container with a user namespace. On the disk they have the container's ids, those
 * of its image as well as what it writes: so that one can lie upon the other, or become one. Each
 * directory is mounted with its ids mapped, and the overlay made of those.
 */

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/mount.h"
#include "runtime/rootfs-internal.h"

/* Attaches a mapped copy of a layer at base_fd/name. */
static int layer_map(int base_fd, const char *name, const char *path, int userns_fd) {
        _cleanup_close_ int fd = -1, mount_fd = -1, target_fd = -1;
        int r;

        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        mount_fd = mount_clone(fd, false);
        if (mount_fd < 0)
                return mount_fd;
        r = mount_idmap(mount_fd, userns_fd, false);
        if (r < 0)
                return r;
        if (mkdirat(base_fd, name, 0700) < 0)
                return -errno;
        target_fd = openat(base_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return target_fd < 0 ? -errno : mount_attach(mount_fd, target_fd);
}

/* Where mapped copies of the layers go: over /, which is looked at by nobody, in a mount namespace
 * that ends with this process. Before 6.15 an overlay takes no layer that is not attached. */
static int scratch_make(int *ret_fd, Error *e) {
        struct mount_attr attr = {.propagation = MS_SLAVE};
        _cleanup_close_ int fd = -1, slash_fd = -1;
        int r;

        if (unshare(CLONE_NEWNS) < 0 ||
            mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace for layers: %m");
        r = mount_new("tmpfs", "tmpfs", NULL, 0, &fd, e);
        if (r != 0)
                return r;
        slash_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (slash_fd < 0)
                return error_setf(e, -errno, "Failed to open /: %m");
        r = mount_attach(fd, slash_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to attach a file system for layers: %m");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Both have to be of one mount, so the directory that is common to them is mapped. */
static int upper_map(Layers *l, int base_fd, int userns_fd, Error *e) {
        size_t n = common_directory(l->upper, l->work, strlen(l->work));
        _cleanup_free_ char *parent = strndup(l->upper, n);
        int r;

        if (!parent)
                return -ENOMEM;
        if (n <= 1)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The upper and the work directory are not beside each other");
        r = layer_map(base_fd, "upper", parent, userns_fd);
        if (r < 0)
                return mount_idmap_failed(r, "the upper directory", l->upper, e);
        if (asprintf(&l->mapped_upper, "upper/%s", l->upper + n) < 0)
                l->mapped_upper = NULL;
        if (asprintf(&l->mapped_work, "upper/%s", l->work + n) < 0)
                l->mapped_work = NULL;
        l->upper = l->mapped_upper;
        l->work = l->mapped_work;
        return l->upper && l->work ? 0 : -ENOMEM;
}

int layers_map(Layers *l, const RootfsParameters *p, Error *e) {
        _cleanup_close_ int base_fd = -1;
        int r;

        r = scratch_make(&base_fd, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < l->n; i++) {
                (void) snprintf(l->short_names[i], sizeof(l->short_names[i]), "%u",
                                (unsigned) i % ROOTFS_LAYERS_MAX);
                r = layer_map(base_fd, l->short_names[i], l->names[i], p->userns_fd);
                if (r < 0)
                        return mount_idmap_failed(r, "the layer", l->names[i], e);
                l->names[i] = l->short_names[i];
        }
        r = l->upper ? upper_map(l, base_fd, p->userns_fd, e) : 0;
        if (r != 0)
                return r;
        if (fchdir(base_fd) < 0)
                return error_setf(e, -errno, "Failed to enter the directory of layers: %m");
        return 0;
}

/* What lies over / goes again: who has something there counts as chrooted, and may make no user
 * namespace. */
int layers_unmap(int *fd, bool *attached, Error *e) {
        _cleanup_close_ int copy_fd = -1;

        if (*attached) {
                copy_fd = mount_clone(*fd, false);
                if (copy_fd < 0)
                        return error_setf(e, copy_fd, "Failed to copy the overlay: %m");
                if (umount2("/..", MNT_DETACH) < 0)
                        return error_setf(e, -errno, "Failed to detach the overlay: %m");
                fd_close(*fd);
                *fd = TAKE_FD(copy_fd);
                *attached = false;
        }
        if (umount2("/..", MNT_DETACH) < 0)
                return error_setf(e, -errno, "Failed to detach the layers: %m");
        return 0;
}

/* An overlay writes to its directories as who has mounted it: for the file system of mapped ones
 * that must be an id of the container. The capabilities, of which a change of these ids takes some
 * away, are what they were. */
int overlay_make_mapped(const Layers *l, const RootfsParameters *p, int *ret_fd, bool *ret_attached,
                        Error *e) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
        uid_t uid = geteuid();
        gid_t gid = getegid();
        int r;

        if (syscall(SYS_capget, &header, data) < 0)
                return error_setf(e, -errno, "Failed to read the capabilities: %m");
        (void) setfsgid(p->root_gid);
        (void) setfsuid(p->root_uid);
        if ((uid_t) setfsuid((uid_t) -1) != p->root_uid ||
            (gid_t) setfsgid((gid_t) -1) != p->root_gid)
                r = error_setf(e, -EPERM, "Failed to become the container's root for files");
        else if (syscall(SYS_capset, &header, data) < 0)
                r = error_setf(e, -errno, "Failed to keep the capabilities: %m");
        else
                r = overlay_make(l, p, ret_fd, ret_attached, e);
        (void) setfsuid(uid);
        (void) setfsgid(gid);
        if (syscall(SYS_capset, &header, data) < 0 && r == 0)
                r = error_setf(e, -errno, "Failed to keep the capabilities: %m");
        return r;
}
