/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first part of init's life: everything that needs no cgroup. */

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "runtime/devices.h"
#include "runtime/filesystems.h"
#include "runtime/init-internal.h"
#include "runtime/masks.h"
#include "runtime/network.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"
#include "runtime/schedule.h"
#include "runtime/step.h"
#include "runtime/terminal.h"

/* The mounts are another container's, who has made what there is. */
static bool shares_mounts(const Init *i) {
        return i->spec->namespaces[NAMESPACE_MOUNT].path;
}

static bool has_user_namespace(const Init *i) {
        return i->spec->namespaces[NAMESPACE_USER].set;
}

/* Not dumpable, we are owned by the host's root to our own /proc; that is lifted for a moment when
 * nobody else is in our pid namespace yet. */
static int offsets_open(const Init *i, Error *e) {
        bool lift = has_user_namespace(i);
        int fd;

        if (lift && !namespace_is_new(&i->spec->namespaces[NAMESPACE_PID]))
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "linux.timeOffsets: not with a user namespace and without a new "
                                  "pid namespace");
        if (lift && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become dumpable: %m");
        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                (void) error_setf(e, -errno, "Failed to open the offsets of clocks: %m");
        if (lift && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
                fd_close(fd);
                return error_setf(e, -errno, "Failed to become undumpable: %m");
        }
        return fd;
}

/* The offsets can be set only while nobody is in the namespace: it is made for children first, and
 * entered through its file. */
static int enter_time(Init *i, Error *e) {
        const struct {
                const char *name;
                const SpecTimeOffset *offset;
        } clocks[] = {{"monotonic", &i->spec->monotonic}, {"boottime", &i->spec->boottime}};
        const SpecNamespace child = {.set = true, .path = "/proc/self/ns/time_for_children"};
        SpecNamespace namespaces[_NAMESPACE_MAX] = {[NAMESPACE_TIME] = child};
        _cleanup_close_ int fd = -1;

        if (!namespace_is_new(&i->spec->namespaces[NAMESPACE_TIME]))
                return 0;
        for (size_t k = 0; k < ELEMENTSOF(clocks); k++) {
                char line[64];
                int r;

                if (!clocks[k].offset->set)
                        continue;
                if (fd < 0)
                        fd = offsets_open(i, e);
                if (fd < 0)
                        return e->code;
                (void) snprintf(line, sizeof(line), "%s %lld %u\n", clocks[k].name,
                                (long long) clocks[k].offset->secs, clocks[k].offset->nanosecs);
                r = fd_write_all(fd, line, strlen(line));
                if (r < 0)
                        return error_setf(e, r, "Failed to set the %s offset: %m", clocks[k].name);
        }
        return namespaces_enter(namespaces, 1U << NAMESPACE_TIME, e);
}

static int build_namespaces(void *userdata, Error *e) {
        unsigned later = 1U << NAMESPACE_PID | 1U << NAMESPACE_CGROUP | 1U << NAMESPACE_USER;
        Init *i = userdata;
        const Spec *s = i->spec;
        const char *hostname = s->hostname;
        int r;

        if (has_user_namespace(i)) {
                r = process_become_root(e);
                if (r != 0)
                        return r;
        }
        /* what is still to come needs the host's files */
        if (shares_mounts(i))
                later |= 1U << NAMESPACE_MOUNT;
        r = namespaces_enter(s->namespaces, ~later, e);
        if (r != 0)
                return r;
        r = enter_time(i, e);
        if (r != 0)
                return r;
        if (!hostname && namespace_is_new(&s->namespaces[NAMESPACE_UTS]))
                hostname = i->p->hostname_fallback;
        if (hostname && sethostname(hostname, strlen(hostname)) < 0)
                return error_setf(e, -errno, "Failed to set the hostname %s: %m", hostname);
        if (s->domainname && setdomainname(s->domainname, strlen(s->domainname)) < 0)
                return error_setf(e, -errno, "Failed to set the domainname %s: %m", s->domainname);
        if (namespace_is_new(&s->namespaces[NAMESPACE_NETWORK]))
                return network_loopback_up(e);
        return 0;
}

static int build_sysctls(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = sysctls_apply(i->spec->sysctls, i->spec->n_sysctls, e);
        if (r == 0)
                r = memory_policy_apply(&i->spec->memory_policy, e);
        if (r != 0 || has_user_namespace(i))
                return r; /* the rest was done where it is allowed */
        r = process_set_oom_score(&i->spec->process, e);
        return r == 0 ? schedule_apply(&i->spec->process, e) : r;
}

static int build_seccomp(void *userdata, Error *e) {
        Init *i = userdata;
        if (!i->spec->seccomp || i->program.seccomp.filter)
                return 0;
        return seccomp_filter_prepare(i->spec->seccomp, i->p->seccomp_cache, &i->program.seccomp,
                                      e);
}

static int open_sources(Init *i, int bundle_fd, Error *e) {
        _cleanup_close_ int userns_fd = -1;
        int r;

        if (!i->p->rootfs_lower && !shares_mounts(i)) {
                r = rootfs_open_directory(bundle_fd, i->spec->root_path, &i->root_fd, e);
                if (r != 0)
                        return r;
        }
        if (filesystems_need_mapping(i->spec)) {
                r = namespace_open(NAMESPACE_USER, "/proc/self/ns/user", &userns_fd, e);
                if (r != 0)
                        return r;
        }
        return filesystems_open(&i->filesystems, i->spec, bundle_fd, userns_fd, e);
}

/* Without rights in the host's mount namespace mounts are copied in our own, where the directory
 * that the caller opened is another mount's: found again by its name, and checked to be the same.
 */
static int open_sources_again(Init *i, Error *e) {
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)], path[PATH_MAX];
        _cleanup_close_ int fd = -1;
        struct stat before, after;
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", i->p->bundle_fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to find the bundle: %m");
        path[n] = '\0';
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &after) < 0 || fstat(i->p->bundle_fd, &before) < 0)
                return error_setf(e, -errno, "Failed to open the bundle %s again: %m", path);
        if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
                return error_setf(e, CTR_CONFLICT, "The bundle %s was replaced", path);
        return open_sources(i, fd, e);
}

/* Its file is the host's, and it is entered when the root is not that any more. */
static int open_cgroup_namespace(Init *i, Error *e) {
        const SpecNamespace *n = &i->spec->namespaces[NAMESPACE_CGROUP];

        return n->path ? namespace_open(NAMESPACE_CGROUP, n->path, &i->cgroup_namespace_fd, e) : 0;
}

/* What is bound into the container, copied while init is still in the host's mount namespace, which
 * the descriptors that the caller gave belong to. */
static int build_sources(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = program_open_host(&i->program, e);
        if (r == 0)
                r = open_cgroup_namespace(i, e);
        if (r != 0)
                return r;
        if (!i->p->prepared)
                return open_sources(i, i->p->bundle_fd, e);
        i->filesystems = i->p->prepared->filesystems;
        i->root_fd = i->p->prepared->root_fd;
        i->program.seccomp = i->p->prepared->seccomp;
        return 0;
}

/* In the container's network namespace, and still with the host's files. */
static int build_stdio(void *userdata, Error *e) {
        Init *i = userdata;

        if (!i->p->open_stdio || i->spec->process.terminal)
                return 0;
        return i->p->open_stdio(i->p->userdata, i->program.stdio, e);
}

/* Its root is the container's. Nothing of it is changed. */
static int join_mounts(Init *i, Error *e) {
        int r;

        r = namespaces_enter(i->spec->namespaces, 1U << NAMESPACE_MOUNT, e);
        if (r != 0)
                return r;
        i->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return i->root_fd < 0 ? error_setf(e, -errno, "Failed to open the joined root: %m") : 0;
}

/* From here on nothing that is mounted in the container is seen by the host. "Slave" and not
 * "private", because the root may ask for what the host mounts later. */
static int build_rootfs(void *userdata, Error *e) {
        Init *i = userdata;
        struct mount_attr attr = {.propagation = MS_SLAVE};
        bool attached = false;
        int r;

        if (shares_mounts(i))
                return join_mounts(i, e);
        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return error_setf(e, -errno, "Failed to separate the mounts from the host's: %m");
        if (i->p->prepared && !i->p->prepared->opened) {
                r = open_sources_again(i, e);
                if (r != 0)
                        return r;
        }
        if (i->root_fd < 0) {
                const RootfsParameters p = {
                                .lower = i->p->rootfs_lower,
                                .upper = i->p->rootfs_upper,
                                .work = i->p->rootfs_work,
                                .is_volatile = i->spec->root_volatile,
                };

                r = rootfs_make_overlay(&p, &i->root_fd, &attached, e);
                if (r != 0)
                        return r;
        }
        return rootfs_attach(i->root_fd, attached, i->spec->root_propagation, e);
}

static int build_mounts(void *userdata, Error *e) {
        Init *i = userdata;
        return filesystems_mount(&i->filesystems, i->root_fd, false, e);
}

static int build_devices(void *userdata, Error *e) {
        Init *i = userdata;

        return shares_mounts(i) ? 0 : devices_make(i->spec, i->root_fd, e);
}

static int build_masks(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = masks_apply(i->spec, i->root_fd, e);
        if (r != 0)
                return r;
        return readonly_paths_apply(i->spec, i->root_fd, false, e);
}

static int build_terminal(void *userdata, Error *e) {
        Init *i = userdata;
        const SpecProcess *p = &i->spec->process;
        int r;

        if (!p->terminal)
                return 0;
        r = terminal_open(i->root_fd, p->columns, p->rows, &i->program.terminal, e);
        if (r != 0 || shares_mounts(i))
                return r;
        return terminal_bind_console(i->root_fd, &i->program.terminal,
                                     !devices_are_bound(i->spec, "/dev/console"), e);
}

static int build_user(void *userdata, Error *e) {
        Init *i = userdata;

        return program_resolve(&i->program, i->root_fd, e);
}

int init_change_root(Init *i, Error *e) {
        if (shares_mounts(i))
                return 0;
        return rootfs_enter(i->root_fd, i->spec->root_propagation, i->p->no_pivot, e);
}

static int build_pivot(void *userdata, Error *e) {
        Init *i = userdata;

        return spec_is_held(i->spec) ? 0 : init_change_root(i, e);
}

static const Step build_steps[] = {
                {STAGE_MOUNTS, build_sources},  {STAGE_NAMESPACES, build_namespaces},
                {STAGE_PROCESS, build_stdio},   {STAGE_SYSCTL, build_sysctls},
                {STAGE_SECCOMP, build_seccomp}, {STAGE_ROOTFS, build_rootfs},
                {STAGE_MOUNTS, build_mounts},   {STAGE_DEVICES, build_devices},
                {STAGE_MASKS, build_masks},     {STAGE_TERMINAL, build_terminal},
                {STAGE_USER, build_user},       {STAGE_ROOTFS, build_pivot},
};

void init_build(Init *i) {
        steps_run(i->p->sync_fd, build_steps, ELEMENTSOF(build_steps), i);
}
