/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/filesystems.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/fs.h"
#include "runtime/copy-up.h"
#include "runtime/id-map.h"
#include "runtime/mount.h"
#include "runtime/path.h"

static bool type_is_cgroup(const char *type) {
        return type && (streq(type, "cgroup") || streq(type, "cgroup2"));
}

bool filesystems_is_late(const Spec *spec, const char *path) {
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (type_is_cgroup(spec->mounts[i].type) &&
                    path_is_below(path, spec->mounts[i].destination))
                        return true;
        return false;
}

int mount_options_apply(int mount_fd, const MountOptions *o) {
        int r;

        r = mount_change(mount_fd, o->recursive_set, o->recursive_clear,
                         o->propagation_recursive ? o->propagation : 0, true);
        if (r < 0)
                return r;
        return mount_change(mount_fd, o->attr_set, o->attr_clear,
                            o->propagation_recursive ? 0 : o->propagation, false);
}

bool filesystems_need_mapping(const Spec *spec) {
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (spec->mounts[i].options.idmap && spec->mounts[i].uids.n == 0)
                        return true;
        return false;
}

static int apply_mapping(int mount_fd, const SpecMount *m, int userns_fd, Error *e) {
        _cleanup_close_ int own_fd = -1;
        int r;

        if (!m->options.idmap)
                return 0;
        if (m->uids.n == 0 && userns_fd < 0)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "The ids of %s cannot be mapped here",
                                  m->destination);
        if (m->uids.n > 0) {
                r = id_map_make_namespace(&m->uids, &m->gids, &own_fd, e);
                if (r != 0)
                        return r;
        }
        r = mount_idmap(mount_fd, own_fd >= 0 ? own_fd : userns_fd, m->options.idmap_recursive);
        if (r < 0)
                return mount_idmap_failed(r, "the mount", m->destination, e);
        return 0;
}

/* Still in the host's peer groups, so that "rshared" can stay in them; everything else leaves them
 * here, because nothing of a container may show up on the host. */
static int source_open(const SpecMount *m, int bundle_fd, int userns_fd, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1, mount_fd = -1;
        int r;

        fd = openat(bundle_fd, m->source, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open %s to bind it to %s: %m", m->source,
                                  m->destination);
        mount_fd = mount_clone(fd, m->options.bind_recursive);
        if (mount_fd < 0)
                return error_setf(e, mount_fd, "Failed to bind %s to %s: %m", m->source,
                                  m->destination);
        if (m->options.propagation != MS_SHARED) {
                r = mount_change(mount_fd, 0, 0,
                                 m->options.propagation == MS_SLAVE ? MS_SLAVE : MS_PRIVATE, true);
                if (r < 0)
                        return error_setf(e, r, "Failed to set the propagation of %s: %m",
                                          m->source);
        }
        r = apply_mapping(mount_fd, m, userns_fd, e);
        if (r != 0)
                return r;
        r = mount_options_apply(mount_fd, &m->options);
        if (r < 0)
                return error_setf(e, r, "Failed to set the options of the bind mount %s: %m",
                                  m->destination);
        *ret_fd = TAKE_FD(mount_fd);
        return 0;
}

int filesystems_open(Filesystems *f, const Spec *spec, int bundle_fd, int userns_fd, Error *e) {
        int r;

        f->spec = spec;
        f->sources = malloc((spec->n_mounts + 1) * sizeof(int));
        if (!f->sources)
                return -ENOMEM;
        for (size_t i = 0; i < spec->n_mounts; i++)
                f->sources[i] = -1;
        for (size_t i = 0; i < spec->n_mounts; i++) {
                const SpecMount *m = &spec->mounts[i];

                if (!m->options.bind || m->options.remount)
                        continue;
                r = source_open(m, bundle_fd, userns_fd, &f->sources[i], e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static bool is_kernels_own(const SpecMount *m) {
        static const char *const types[] = {"proc",    "sysfs",  "cgroup",
                                            "cgroup2", "devpts", "mqueue"};
        static const char *const trees[] = {"/proc", "/sys", "/dev"};

        for (size_t i = 0; m->type && i < ELEMENTSOF(types); i++)
                if (streq(types[i], m->type))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(trees); i++)
                if (path_is_below(m->destination, trees[i]))
                        return true;
        return false;
}

/* Descriptor of what is to be mounted on, or <0. */
static int target_open(int root_fd, const SpecMount *m, bool directory, Error *e) {
        int fd;

        if (!is_kernels_own(m)) {
                fd = path_make_mountpoint(root_fd, m->destination, directory);
                if (fd < 0)
                        error_setf(e, fd, "Failed to make the mount point %s: %m", m->destination);
                return fd;
        }

        fd = path_open_straight(root_fd, m->destination);
        if (fd == -ENOENT) {
                fd = path_make_mountpoint(root_fd, m->destination, directory);
                if (fd < 0)
                        return error_setf(e, fd, "Failed to make the mount point %s: %m",
                                          m->destination);
                (void) fd_close(fd);
                fd = path_open_straight(root_fd, m->destination);
        }
        if (fd == -ELOOP)
                return error_setf(e, -ELOOP, "The mount point %s is or lies behind a symbolic link",
                                  m->destination);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open the mount point %s: %m", m->destination);
        return fd;
}

/* Those of the kernel have labels of their own (SELinux takes none for them). */
static bool takes_label(const char *type) {
        static const char *const types[] = {"proc", "sysfs", "cgroup", "cgroup2", "mqueue"};

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i], type))
                        return false;
        return true;
}

static int filesystem_make(const SpecMount *m, const char *label, int *ret_fd, Error *e) {
        const char *type = streq(m->type, "cgroup") ? "cgroup2" : m->type;
        _cleanup_free_ const char **parameters = NULL;
        _cleanup_free_ char *context = NULL;

        if (!label || !takes_label(type))
                return mount_new(type, m->source ? m->source : type, m->options.parameters,
                                 m->options.n_parameters, ret_fd, e);
        parameters = calloc(m->options.n_parameters + 1, sizeof(char *));
        if (!parameters || asprintf(&context, "context=%s", label) < 0)
                return -ENOMEM;
        if (m->options.n_parameters > 0)
                memcpy(parameters, m->options.parameters, m->options.n_parameters * sizeof(char *));
        parameters[m->options.n_parameters] = context;
        return mount_new(type, m->source ? m->source : type, parameters,
                         m->options.n_parameters + 1, ret_fd, e);
}

/* The kernel lets a user namespace mount a sysfs only where the caller sees all of one, which is
 * not so inside of most containers: then it is the one that is there, with what lies upon it, to be
 * read. That is what the other runtimes do, too. */
static int sysfs_copy(int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1, mount_fd = -1;
        int r;

        fd = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open /sys: %m");
        mount_fd = mount_clone(fd, true);
        if (mount_fd < 0)
                return error_setf(e, mount_fd, "Failed to copy the mount of /sys: %m");
        r = mount_change(mount_fd, MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, true);
        if (r < 0)
                return error_setf(e, r, "Failed to make the copy of /sys read-only: %m");
        *ret_fd = TAKE_FD(mount_fd);
        return 0;
}

/* The new file system of a mount that is no bind mount. */
static int filesystem_new(const Spec *spec, const SpecMount *m, int *ret_fd, Error *e) {
        const char *label = spec->mount_label;
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_close_ int fd = -1;
        int r;

        r = filesystem_make(m, label, &fd, &local);
        if (r == -EPERM && streq(m->type, "sysfs") && spec->namespaces[NAMESPACE_USER].set)
                r = sysfs_copy(&fd, e);
        else
                (void) error_move(e, &local);
        if (r != 0)
                return r;
        if (label && streq(m->type, "mqueue")) {
                char path[32];

                /* a descriptor of a mount is good for its place alone */
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                if (setxattr(path, "security.selinux", label, strlen(label) + 1, 0) < 0)
                        return error_setf(e, -errno, "Failed to set linux.mountLabel: %m");
        }
        r = apply_mapping(fd, m, -1, e);
        if (r != 0)
                return r;
        r = mount_options_apply(fd, &m->options);
        if (r < 0)
                return error_setf(e, r, "Failed to set the options: %m");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* "remount" changes what is mounted there already: its attributes, and with parameters the file
 * system itself. */
static int remount(int root_fd, const SpecMount *m, Error *e) {
        _cleanup_close_ int fd = -1, context_fd = -1;
        int r;

        fd = path_open(root_fd, m->destination, O_PATH);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open %s to remount it: %m", m->destination);
        r = mount_options_apply(fd, &m->options);
        if (r < 0)
                return error_setf(e, r, "Failed to remount %s: %m", m->destination);
        if (m->options.n_parameters == 0)
                return 0;
        context_fd = fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
        if (context_fd < 0)
                return error_setf(e, -errno, "Failed to remount %s: %m", m->destination);
        for (size_t i = 0; i < m->options.n_parameters; i++) {
                r = fs_context_set(context_fd, m->options.parameters[i]);
                if (r < 0)
                        return error_setf(e, r, "Failed to remount %s with %s: %m", m->destination,
                                          m->options.parameters[i]);
        }
        if (fsconfig(context_fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
                return error_setf(e, -errno, "Failed to remount %s: %m", m->destination);
        return 0;
}

/* The kernel's flag of the file system for which fsconfig() has no name. By the descriptor: the
 * path in the container may be anything. */
static int set_version(int fd, const SpecMount *m, Error *e) {
        char path[32];

        if (!m->options.version)
                return 0;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (mount(NULL, path, NULL, MS_REMOUNT | MS_I_VERSION, NULL) < 0)
                return error_setf(e, -errno, "Failed to set iversion of %s: %m", m->destination);
        return 0;
}

static int filesystem_mount(Filesystems *f, size_t i, int root_fd, Error *e) {
        const SpecMount *m = &f->spec->mounts[i];
        _cleanup_close_ int fd = TAKE_FD(f->sources[i]), target_fd = -1;
        bool directory = true;
        int r;

        if (m->options.remount)
                return remount(root_fd, m, e);
        if (m->options.bind) {
                struct stat st;

                if (fstat(fd, &st) < 0)
                        return error_setf(e, -errno, "Failed to stat %s: %m", m->source);
                directory = S_ISDIR(st.st_mode);
        } else if (fd < 0) {
                r = filesystem_new(f->spec, m, &fd, e);
                if (r != 0)
                        return error_prefix(e, r, "Failed to mount %s", m->destination);
        }
        target_fd = target_open(root_fd, m, directory, e);
        if (target_fd < 0)
                return target_fd;
        if (m->options.copy_up) {
                r = copy_up(target_fd, fd, e);
                if (r != 0)
                        return error_prefix(e, r, "Failed to copy up %s", m->destination);
        }
        r = mount_attach(fd, target_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to mount %s on %s: %m",
                                  m->options.bind ? m->source : m->type, m->destination);
        return set_version(fd, m, e);
}

int filesystems_mount(Filesystems *f, int root_fd, bool late, Error *e) {
        int r;

        for (size_t i = 0; i < f->spec->n_mounts; i++) {
                if (filesystems_is_late(f->spec, f->spec->mounts[i].destination) != late)
                        continue;
                r = filesystem_mount(f, i, root_fd, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

void filesystems_clear(Filesystems *f) {
        for (size_t i = 0; f->sources && i < f->spec->n_mounts; i++)
                fd_close(f->sources[i]);
        free(f->sources);
        *f = (Filesystems){};
}
