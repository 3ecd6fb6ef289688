/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "runtime/checkpoint-document.h"
#include "runtime/checkpoint.h"
#include "runtime/network.h"
#include "runtime/path.h"
#include "runtime/process.h"
#include "runtime/rootfs-outside.h"

typedef struct Restore {
        const CheckpointRestore *p;
        pid_t caller;
        char bundle[PATH_MAX]; /* what config_dir_fd is called */
        char root[PATH_MAX];
        int stdio[3];
        int network_fd;
        int copies[4]; /* of what criu gets */
        size_t n_copies;
} Restore;

int checkpoint_mount_source(const Spec *spec, const char *mount, const char *terminal_path,
                            const char *bundle, char **ret, Error *e) {
        if (terminal_path && streq(mount, "/dev/console"))
                return free_and_strdup(ret, terminal_path);
        for (size_t i = spec->n_mounts; i > 0; i--) {
                const SpecMount *m = &spec->mounts[i - 1];

                if (!m->options.bind || m->options.remount || !path_is_below(mount, m->destination))
                        continue;
                if (asprintf(ret, "%s%s%s%s", m->source[0] == '/' ? "" : bundle,
                             m->source[0] == '/' ? "" : "/", m->source,
                             mount + strlen(m->destination)) < 0)
                        return -ENOMEM;
                return 0;
        }
        for (size_t i = 0; i < spec->n_masked_paths; i++)
                if (streq(spec->masked_paths[i], mount))
                        return free_and_strdup(ret, "/dev/null");
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          "The checkpoint was made with a mount on %s, which this container "
                          "does not have",
                          mount);
}

/* Into the payload, with nothing of the supervisor's that CRIU would not take away from init. */
static int separate(const Restore *x, const Spec *spec, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = openat(x->p->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || write(fd, "0", 1) < 0)
                return error_setf(e, -errno, "Failed to move to the payload cgroup: %m");
        r = process_new_keyring(e);
        if (r != 0)
                return r;
        if (spec->process.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to set no_new_privs: %m");
        return namespaces_enter(spec->namespaces, 1U << NAMESPACE_CGROUP, e);
}

static bool is_below_another(const Spec *spec, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (path_is_below(spec->mounts[i].destination, spec->mounts[k].destination))
                        return true;
        return false;
}

/* What the image lacks, as at the first start: CRIU mounts on what is there. What lies below
 * another mount comes with that. */
static int make_mountpoints(const Restore *x, const Spec *spec, int root_fd, Error *e) {
        for (size_t i = 0; i < spec->n_mounts; i++) {
                const SpecMount *m = &spec->mounts[i];
                struct stat st = {.st_mode = S_IFDIR};
                int fd;

                if (m->options.remount || is_below_another(spec, i))
                        continue;
                if (m->options.bind && fstatat(x->p->config_dir_fd, m->source, &st, 0) < 0)
                        return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                          "Failed to find %s to bind it to %s: %m", m->source,
                                          m->destination);
                fd = path_make_mountpoint(root_fd, m->destination, S_ISDIR(st.st_mode));
                if (fd < 0)
                        return error_setf(e, fd, "Failed to make the mount point %s: %m",
                                          m->destination);
                fd_close(fd);
        }
        return 0;
}

/* The root file system where CRIU expects it: on a directory, in a mount namespace that ends with
 * criu. */
static int mount_root(Restore *x, const Spec *spec, Error *e) {
        const RootfsParameters rootfs = {
                        .lower = x->p->rootfs_lower,
                        .upper = x->p->rootfs_upper,
                        .work = x->p->rootfs_work,
                        .is_volatile = spec->root_volatile,
        };
        _cleanup_close_ int root_fd = -1;
        int r;

        r = rootfs_make_outside(&rootfs, x->p->config_dir_fd, spec->root_path, &root_fd, e);
        if (r == 0)
                r = make_mountpoints(x, spec, root_fd, e);
        return r == 0 ? rootfs_attach_outside(root_fd, x->root, e) : r;
}

/* The copies where they stay open for criu. The very last step: what was at these places may have
 * been anybody's. */
static int pass_descriptors(const Restore *x, Error *e) {
        for (size_t i = 0; i < x->n_copies; i++)
                if (dup2(x->copies[i], (int) (CHECKPOINT_FD_FIRST + i)) < 0)
                        return error_setf(e, -errno, "Failed to pass a descriptor on: %m");
        return 0;
}

static int open_stdio(Restore *x, Error *e) {
        memcpy(x->stdio, x->p->stdio, sizeof(x->stdio));
        return x->p->open_stdio ? x->p->open_stdio(x->p->userdata, x->stdio, e) : 0;
}

/* As at the first start: with the loopback up, and the streams that belong into it. */
static int make_network(Restore *x, int *ret_fd, Error *e) {
        _cleanup_close_ int own_fd = -1;
        int r;

        r = namespace_open(NAMESPACE_NETWORK, "/proc/self/ns/net", &own_fd, e);
        if (r != 0)
                return r;
        if (unshare(CLONE_NEWNET) < 0)
                return error_setf(e, -errno, "Failed to make a network namespace: %m");
        r = network_loopback_up(e);
        if (r == 0)
                r = open_stdio(x, e);
        if (r == 0)
                r = namespace_open(NAMESPACE_NETWORK, "/proc/self/ns/net", ret_fd, e);
        if (r != 0)
                return r;
        if (setns(own_fd, CLONE_NEWNET) < 0)
                return error_setf(e, -errno, "Failed to leave the network namespace: %m");
        return 0;
}

static int open_network(Restore *x, const Spec *spec, const CheckpointDocument *d, int *ret_fd,
                        Error *e) {
        const SpecNamespace *n = &spec->namespaces[NAMESPACE_NETWORK];
        int r;

        if (d->network && namespace_is_new(n))
                return make_network(x, ret_fd, e);
        r = open_stdio(x, e);
        if (r != 0 || !d->network)
                return r;
        if (n->path)
                return namespace_open(NAMESPACE_NETWORK, n->path, ret_fd, e);
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          "The checkpoint was made in a network namespace, and this container "
                          "has the host's");
}

/* The streams, to be passed from CHECKPOINT_FD_FIRST on, then the network. */
static int copy_descriptors(Restore *x, const Spec *spec, const CheckpointDocument *d, Error *e) {
        _cleanup_close_ int null_fd = -1, network_fd = -1;
        size_t n = 0;
        int r;

        r = open_network(x, spec, d, &network_fd, e);
        if (r != 0)
                return r;
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (null_fd < 0)
                return error_setf(e, -errno, "Failed to open /dev/null: %m");
        for (; n < 3; n++) {
                x->copies[n] = fcntl(x->stdio[n] >= 0 ? x->stdio[n] : null_fd, F_DUPFD_CLOEXEC,
                                     HELPER_FD_MAX);
                if (x->copies[n] < 0)
                        return error_setf(e, -errno, "Failed to copy a stream: %m");
        }
        if (network_fd >= 0) {
                x->copies[n] = fcntl(network_fd, F_DUPFD_CLOEXEC, HELPER_FD_MAX);
                if (x->copies[n] < 0)
                        return error_setf(e, -errno, "Failed to copy the network: %m");
                x->network_fd = (int) (CHECKPOINT_FD_FIRST + n++);
        }
        x->n_copies = n;
        return 0;
}

static int prepare(void *userdata, char ***ret, Error *e) {
        _cleanup_(checkpoint_document_clear) CheckpointDocument doc = {};
        _cleanup_(spec_freep) Spec *spec = NULL;
        Restore *x = userdata;
        char images[64], work[64];
        int r;

        r = spec_read(x->p->config_dir_fd, x->p->config_name, &spec, e);
        if (r == 0)
                r = criu_check_spec(spec, e);
        if (r == 0)
                r = checkpoint_document_read(x->p->images_fd, &doc, e);
        if (r != 0)
                return r;
        if (doc.terminal != spec->process.terminal)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The checkpoint was made %s a terminal, and this container is "
                                  "%s one",
                                  doc.terminal ? "with" : "without",
                                  doc.terminal ? "without" : "with");
        r = separate(x, spec, e);
        if (r == 0)
                r = copy_descriptors(x, spec, &doc, e);
        if (r == 0)
                r = mount_root(x, spec, e);
        if (r == 0)
                r = pass_descriptors(x, e);
        if (r != 0)
                return r;
        (void) snprintf(images, sizeof(images), "/proc/%i/fd/%i", x->caller, x->p->images_fd);
        (void) snprintf(work, sizeof(work), "/proc/%i/fd/%i", x->caller, x->p->work_fd);
        return checkpoint_restore_arguments(x->p, spec, &doc, images, work, x->bundle, x->root,
                                            x->network_fd, ret, e);
}

static int name_directories(Restore *x, Error *e) {
        char link[64];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", x->p->config_dir_fd);
        n = readlink(link, x->bundle, sizeof(x->bundle) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read %s: %m", link);
        x->bundle[n] = '\0';
        if (x->bundle[0] != '/' || (size_t) snprintf(x->root, sizeof(x->root), "%s/%s", x->bundle,
                                                     CHECKPOINT_ROOT) >= sizeof(x->root))
                return error_setf(e, -ENAMETOOLONG, "The path %s is not usable", x->bundle);
        if (mkdirat(x->p->config_dir_fd, CHECKPOINT_ROOT, 0700) < 0 && errno != EEXIST)
                return error_setf(e, -errno, "Failed to make %s: %m", x->root);
        return 0;
}

int checkpoint_restore(const CheckpointRestore *p, Helper **ret, Error *e) {
        Restore x = {.p = p, .caller = getpid(), .network_fd = -1};
        int r;

        assert(p && p->images_fd >= 0 && p->work_fd >= 0 && p->cgroup_fd >= 0 && ret);

        r = name_directories(&x, e);
        if (r != 0)
                return r;
        if (unlinkat(p->work_fd, CHECKPOINT_PID, 0) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to remove %s: %m", CHECKPOINT_PID);
        return criu_new(prepare, &x, ret, e);
}

int checkpoint_read_pid(int work_fd, pid_t *ret_pid, int *ret_pidfd, Error *e) {
        return helper_read_pid(work_fd, CHECKPOINT_PID, "CRIU", ret_pid, ret_pidfd, e);
}
