/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/init.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "basic/fs.h"
#include "runtime/detached.h"
#include "runtime/devices.h"
#include "runtime/filesystems.h"
#include "runtime/hooks.h"
#include "runtime/masks.h"
#include "runtime/mount.h"
#include "runtime/network.h"
#include "runtime/process.h"
#include "runtime/program.h"
#include "runtime/rootfs.h"
#include "runtime/schedule.h"
#include "runtime/seccomp-notify.h"
#include "runtime/step.h"
#include "runtime/terminal.h"

typedef struct Init {
        const InitParameters *p;
        const Spec *spec;
        Filesystems filesystems;
        Program program;
        int root_fd;
        SyncAnswer start; /* what came with START */
} Init;

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
        Init *i = userdata;
        const Spec *s = i->spec;
        const char *hostname = s->hostname;
        int r;

        if (has_user_namespace(i)) {
                r = process_become_root(e);
                if (r != 0)
                        return r;
        }
        r = namespaces_enter(s->namespaces,
                             ~(1U << NAMESPACE_PID | 1U << NAMESPACE_CGROUP | 1U << NAMESPACE_USER),
                             e);
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

static int open_sources(Init *i, Error *e) {
        _cleanup_close_ int userns_fd = -1;
        int r;

        if (!i->p->rootfs_lower) {
                r = rootfs_open_directory(i->p->bundle_fd, i->spec->root_path, &i->root_fd, e);
                if (r != 0)
                        return r;
        }
        if (filesystems_need_mapping(i->spec)) {
                r = namespace_open(NAMESPACE_USER, "/proc/self/ns/user", &userns_fd, e);
                if (r != 0)
                        return r;
        }
        return filesystems_open(&i->filesystems, i->spec, i->p->bundle_fd, userns_fd, e);
}

/* What is bound into the container, copied while init is still in the host's mount namespace, which
 * the descriptors that the caller gave belong to. */
static int build_sources(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = program_open_host(&i->program, e);
        if (r != 0)
                return r;
        if (!i->p->prepared)
                return open_sources(i, e);
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

/* From here on nothing that is mounted in the container is seen by the host. "Slave" and not
 * "private", because the root may ask for what the host mounts later. */
static int build_rootfs(void *userdata, Error *e) {
        Init *i = userdata;
        struct mount_attr attr = {.propagation = MS_SLAVE};
        bool attached = false;
        int r;

        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return error_setf(e, -errno, "Failed to separate the mounts from the host's: %m");
        if (i->p->prepared && !i->p->prepared->opened) {
                r = open_sources(i, e);
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
        return devices_make(i->spec, i->root_fd, e);
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
        if (r != 0)
                return r;
        return terminal_bind_console(i->root_fd, &i->program.terminal,
                                     !devices_are_bound(i->spec, "/dev/console"), e);
}

static int build_user(void *userdata, Error *e) {
        Init *i = userdata;

        return program_resolve(&i->program, i->root_fd, e);
}

static int change_root(Init *i, Error *e) {
        return rootfs_enter(i->root_fd, i->spec->root_propagation, i->p->no_pivot, e);
}

static int build_pivot(void *userdata, Error *e) {
        Init *i = userdata;

        return spec_is_held(i->spec) ? 0 : change_root(i, e);
}

static const Step build_steps[] = {
                {STAGE_MOUNTS, build_sources},  {STAGE_NAMESPACES, build_namespaces},
                {STAGE_PROCESS, build_stdio},   {STAGE_SYSCTL, build_sysctls},
                {STAGE_SECCOMP, build_seccomp}, {STAGE_ROOTFS, build_rootfs},
                {STAGE_MOUNTS, build_mounts},   {STAGE_DEVICES, build_devices},
                {STAGE_MASKS, build_masks},     {STAGE_TERMINAL, build_terminal},
                {STAGE_USER, build_user},       {STAGE_ROOTFS, build_pivot},
};

static int enter_cgroup(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = namespaces_enter(i->spec->namespaces, 1U << NAMESPACE_CGROUP, e);
        if (r != 0)
                return r;
        r = filesystems_mount(&i->filesystems, i->root_fd, true, e);
        if (r != 0)
                return r;
        return readonly_paths_apply(i->spec, i->root_fd, true, e);
}

/* In the container's namespaces, with the host's files still as ours. */
static int enter_hooks(void *userdata, Error *e) {
        Init *i = userdata;
        const SpecHooks *hooks = &i->spec->hooks[HOOK_CREATE_CONTAINER];
        _cleanup_free_ char *state = NULL;
        int r;

        if (hooks->n == 0)
                return 0;
        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "creating", getpid(), &state);
        if (r < 0)
                return r;
        return hooks_run(hooks, HOOK_CREATE_CONTAINER, state, UINT64_MAX, NULL, NULL, e);
}

static int enter_root(void *userdata, Error *e) {
        Init *i = userdata;

        return spec_is_held(i->spec) ? change_root(i, e) : 0;
}

/* The working directory is made if the image lacks it, so before the root is read-only. */
static int enter_directory(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = process_enter_directory(i->root_fd, i->spec->process.cwd, true, e);
        if (r != 0)
                return r;
        if (!i->spec->root_readonly)
                return 0;
        r = mount_change(i->root_fd, MOUNT_ATTR_RDONLY, 0, 0, false);
        if (r < 0)
                return error_setf(e, r, "Failed to make the root file system read-only: %m");
        return 0;
}

static int enter_stdio(void *userdata, Error *e) {
        Init *i = userdata;

        return program_set_stdio(&i->program, e);
}

static int enter_process(void *userdata, Error *e) {
        Init *i = userdata;

        return program_become(&i->program, e);
}

static int enter_executable(void *userdata, Error *e) {
        Init *i = userdata;

        return program_find(&i->program, e);
}

static const Step enter_steps[] = {
                {STAGE_CGROUP, enter_cgroup},   {STAGE_HOOKS, enter_hooks},
                {STAGE_ROOTFS, enter_root},     {STAGE_PROCESS, enter_directory},
                {STAGE_PROCESS, enter_stdio},   {STAGE_PROCESS, enter_process},
                {STAGE_EXEC, enter_executable},
};

/* The supervisor's next word. If it is gone, so is the reason to be here. */
static SyncType hear(const Init *i, InitStage stage, SyncAnswer *ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sync_receive(i->p->sync_fd, UINT64_MAX, ret, NULL);
        if (r > 0)
                return (SyncType) r;
        if (r < 0) {
                (void) error_setf(&e, r, "Failed to hear what to do next: %m");
                step_fail(i->p->sync_fd, stage, r, &e);
        }
        _exit(125);
}

static void wait_for_enter(const Init *i) {
        SyncAnswer answer;

        if (hear(i, STAGE_PROCESS, &answer) != SYNC_ENTER)
                _exit(125);
        fd_close(answer.fd);
}

static void wait_for_start(Init *i) {
        SyncType type;

        type = hear(i, STAGE_EXEC, &i->start);
        if (type == SYNC_DETACH && i->p->independent && i->start.fd >= 0)
                i->program.sync_fd = detached_wait(i->start.fd, 3U + i->p->preserve_fds, &i->start);
        else if (type != SYNC_START)
                _exit(125);
}

static int start_listener(void *userdata, Error *e) {
        _cleanup_free_ char *state = NULL;
        Init *i = userdata;
        int r;

        if (i->start.fd < 0)
                return error_setf(e, -EBADMSG, "No connection for linux.seccomp.listenerPath came");
        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "created", i->start.pid, &state);
        if (r == 0)
                r = seccomp_notify_state(i->spec->document, state, i->start.pid,
                                         &i->program.listener_state);
        i->program.listener_fd = i->start.fd;
        return r;
}

/* What goes to the agent is made before the filter is loaded. */
static void prepare_listener(Init *i) {
        static const Step steps[] = {{STAGE_SECCOMP, start_listener}};

        if (i->program.seccomp.notifies)
                steps_run(i->program.sync_fd, steps, ELEMENTSOF(steps), i);
        else
                i->start.fd = fd_close(i->start.fd);
}

static int prepare_hook(void *userdata) {
        return program_restrict(userdata);
}

static int start_hooks(void *userdata, Error *e) {
        Init *i = userdata;
        _cleanup_free_ char *state = NULL;
        int r;

        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "created", getpid(), &state);
        if (r < 0)
                return r;
        return hooks_run(&i->spec->hooks[HOOK_START_CONTAINER], HOOK_START_CONTAINER, state,
                         UINT64_MAX, prepare_hook, &i->program, e);
}

/* They come from the image: what they may do is what the program may. */
static void run_start_hooks(Init *i) {
        static const Step steps[] = {{STAGE_HOOKS, start_hooks}};

        if (i->spec->hooks[HOOK_START_CONTAINER].n > 0)
                steps_run(i->program.sync_fd, steps, ELEMENTSOF(steps), i);
}

_noreturn_ void init_run(const InitParameters *p) {
        Init i = {
                        .p = p,
                        .spec = p->spec,
                        .program =
                                        {
                                                        .process = &p->spec->process,
                                                        .sync_fd = p->sync_fd,
                                                        .stdio = {p->stdio[0], p->stdio[1],
                                                                  p->stdio[2]},
                                                        .personality_set = p->spec->personality_set,
                                                        .personality = p->spec->personality,
                                                        .terminal = {-1, -1},
                                                        .listener_fd = -1,
                                                        .null_fd = -1,
                                                        .proc_fd = -1,
                                                        .independent = p->independent,
                                                        .no_keyring = p->no_keyring,
                                                        .preserve_fds = p->preserve_fds,
                                        },
                        .root_fd = -1,
        };
        Terminal *t = &i.program.terminal;

        program_separate(&i.program);
        steps_run(p->sync_fd, build_steps, ELEMENTSOF(build_steps), &i);
        if (spec_is_held(p->spec) && sync_send(p->sync_fd, SYNC_BUILT, 0, -1) < 0)
                _exit(125);
        wait_for_enter(&i);
        steps_run(p->sync_fd, enter_steps, ELEMENTSOF(enter_steps), &i);
        if (sync_send(p->sync_fd, SYNC_CREATED, 0, t->master_fd) < 0)
                _exit(125);
        t->master_fd = fd_close(t->master_fd);
        wait_for_start(&i);
        prepare_listener(&i);
        run_start_hooks(&i);
        program_start(&i.program);
}
