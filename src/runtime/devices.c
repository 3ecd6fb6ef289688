/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/devices.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fs.h"
#include "runtime/mount.h"
#include "runtime/path.h"

#define DEVICE(p, major, minor)                                                                    \
        { .path = "/dev/" p, .mode = S_IFCHR | 0666, .rdev = makedev(major, minor) }

static int check_existing(int parent_fd, const char *name, const SpecDevice *d, Error *e) {
        struct stat st;

        if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to stat %s: %m", d->path);
        if ((st.st_mode & S_IFMT) != (d->mode & S_IFMT) ||
            (!S_ISFIFO(d->mode) && st.st_rdev != d->rdev))
                return error_setf(e, -EEXIST, "%s is already there and is not the device", d->path);
        return 0;
}

/* What is there, a link not followed, or a new empty file. */
static int open_target(int root_fd, const char *path) {
        _cleanup_close_ int parent_fd = -1, made_fd = -1;
        const char *name;
        int fd;

        parent_fd = path_make_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;
        made_fd = openat(parent_fd, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         0644);
        if (made_fd < 0 && errno != EEXIST)
                return -errno;
        fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* In a user namespace no device node can be made: the host's own is bound. */
static int device_bind(int root_fd, const SpecDevice *d, Error *e) {
        _cleanup_close_ int source_fd = -1, mount_fd = -1, target_fd = -1;
        struct stat st;
        int r;

        source_fd = open(d->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (source_fd < 0 || fstat(source_fd, &st) < 0)
                return error_setf(e, -errno,
                                  "Failed to open the host's %s, which a user namespace needs: %m",
                                  d->path);
        if ((st.st_mode & S_IFMT) != (d->mode & S_IFMT) || st.st_rdev != d->rdev)
                return error_setf(e, -ENODEV,
                                  "The host's %s is not the device %u:%u, and a user namespace can "
                                  "make none",
                                  d->path, major(d->rdev), minor(d->rdev));
        target_fd = open_target(root_fd, d->path);
        if (target_fd < 0)
                return error_setf(e, target_fd, "Failed to make %s: %m", d->path);
        if (fstat(target_fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat %s: %m", d->path);
        if ((st.st_mode & S_IFMT) == (d->mode & S_IFMT) && st.st_rdev == d->rdev)
                return 0;
        if (!S_ISREG(st.st_mode) || st.st_size > 0)
                return error_setf(e, -EEXIST, "%s is already there and is not the device", d->path);
        mount_fd = mount_clone(source_fd, false);
        if (mount_fd < 0)
                return error_setf(e, mount_fd, "Failed to copy %s: %m", d->path);
        r = mount_change(mount_fd, 0, 0, MS_PRIVATE, false);
        if (r >= 0)
                r = mount_attach(mount_fd, target_fd);
        return r < 0 ? error_setf(e, r, "Failed to bind the device %s: %m", d->path) : 0;
}

static int device_make(const Spec *spec, int root_fd, const SpecDevice *d, Error *e) {
        _cleanup_close_ int parent_fd = -1;
        const char *name;

        if (spec->namespaces[NAMESPACE_USER].set && !S_ISFIFO(d->mode))
                return device_bind(root_fd, d, e);
        parent_fd = path_make_parent(root_fd, d->path, &name);
        if (parent_fd < 0)
                return error_setf(e, parent_fd, "Failed to make the directory of %s: %m", d->path);
        if (mknodat(parent_fd, name, d->mode, d->rdev) < 0) {
                if (errno == EEXIST)
                        return check_existing(parent_fd, name, d, e);
                return error_setf(e, -errno, "Failed to make the device %s: %m", d->path);
        }
        if ((d->uid != 0 || d->gid != 0) &&
            fchownat(parent_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to change the owner of %s: %m", d->path);
        return 0;
}

static bool is_given(const Spec *spec, const char *path) {
        for (size_t i = 0; i < spec->n_devices; i++)
                if (streq(spec->devices[i].path, path))
                        return true;
        return false;
}

static int links_make(int dev_fd, Error *e) {
        static const struct {
                const char *target, *name;
        } links[] = {
                        {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                        {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                        {"pts/ptmx", "ptmx"},
        };

        /* what is already there came with a /dev of the caller's own, who may want it so */
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                if (symlinkat(links[i].target, dev_fd, links[i].name) < 0 && errno != EEXIST)
                        return error_setf(e, -errno, "Failed to make the link /dev/%s: %m",
                                          links[i].name);
        return 0;
}

bool devices_are_bound(const Spec *spec, const char *path) {
        bool bound = false;

        for (size_t i = 0; i < spec->n_mounts; i++)
                if (!spec->mounts[i].options.remount &&
                    path_is_below(path, spec->mounts[i].destination))
                        bound = spec->mounts[i].options.bind;
        return bound;
}

int devices_make(const Spec *spec, int root_fd, Error *e) {
        const SpecDevice defaults[] = {
                        DEVICE("null", 1, 3),   DEVICE("zero", 1, 5),    DEVICE("full", 1, 7),
                        DEVICE("random", 1, 8), DEVICE("urandom", 1, 9), DEVICE("tty", 5, 0),
        };
        _cleanup_close_ int dev_fd = -1;
        int r;

        for (size_t i = 0; i < spec->n_devices; i++) {
                if (devices_are_bound(spec, spec->devices[i].path))
                        continue;
                r = device_make(spec, root_fd, &spec->devices[i], e);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(defaults); i++) {
                if (is_given(spec, defaults[i].path) || devices_are_bound(spec, defaults[i].path))
                        continue;
                r = device_make(spec, root_fd, &defaults[i], e);
                if (r != 0)
                        return r;
        }
        if (devices_are_bound(spec, "/dev"))
                return 0;
        dev_fd = path_make_directory(root_fd, "/dev");
        if (dev_fd < 0)
                return error_setf(e, dev_fd, "Failed to open /dev: %m");
        return links_make(dev_fd, e);
}
