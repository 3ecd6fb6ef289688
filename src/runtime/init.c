/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/init.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "basic/strv.h"
#include "runtime/capability.h"
#include "runtime/devices.h"
#include "runtime/executable.h"
#include "runtime/filesystems.h"
#include "runtime/masks.h"
#include "runtime/mount.h"
#include "runtime/network.h"
#include "runtime/process.h"
#include "runtime/rlimit.h"
#include "runtime/rootfs.h"
#include "runtime/seccomp-filter.h"
#include "runtime/sync.h"
#include "runtime/terminal.h"

typedef struct Init {
        const InitParameters *p;
        const Spec *spec;
        Filesystems filesystems;
        SeccompFilter seccomp;
        Terminal terminal;
        User user;
        char *path; /* of the program */
        char **env;
        int null_fd; /* the host's /dev/null for streams that are -1, or -1 */
        int root_fd;
        mode_t umask; /* as the supervisor has it */
} Init;

typedef struct InitStep {
        InitStage stage;
        int (*run)(Init *i, Error *e);
} InitStep;

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
                if (!clocks[k].offset->set)
                        continue;
                if (fd < 0)
                        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
                if (fd < 0 ||
                    dprintf(fd, "%s %lld %u\n", clocks[k].name, (long long) clocks[k].offset->secs,
                            clocks[k].offset->nanosecs) < 0)
                        return error_setf(e, -errno, "Failed to set the %s offset: %m",
                                          clocks[k].name);
        }
        return namespaces_enter(namespaces, 1U << NAMESPACE_TIME, e);
}

static int build_namespaces(Init *i, Error *e) {
        const Spec *s = i->spec;
        const char *hostname = s->hostname;
        int r;

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

static int build_sysctls(Init *i, Error *e) {
        int r;

        r = sysctls_apply(i->spec->sysctls, i->spec->n_sysctls, e);
        if (r != 0)
                return r;
        return process_set_oom_score(&i->spec->process, e);
}

static int build_seccomp(Init *i, Error *e) {
        if (!i->spec->seccomp)
                return 0;
        return seccomp_filter_prepare(i->spec->seccomp, i->p->seccomp_cache, &i->seccomp, e);
}

/* What is bound into the container, copied while init is still in the host's mount namespace, which
 * the descriptors that the caller gave belong to. */
static int build_sources(Init *i, Error *e) {
        const int *stdio = i->p->stdio;
        int r;

        if (!i->spec->process.terminal && (stdio[0] < 0 || stdio[1] < 0 || stdio[2] < 0)) {
                i->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (i->null_fd < 0)
                        return error_setf(e, -errno, "Failed to open /dev/null: %m");
        }
        if (!i->p->rootfs_lower) {
                r = rootfs_open_directory(i->p->bundle_fd, i->spec->root_path, &i->root_fd, e);
                if (r != 0)
                        return r;
        }
        return filesystems_open(&i->filesystems, i->spec, i->p->bundle_fd, e);
}

/* From here on nothing that is mounted in the container is seen by the host. "Slave" and not
 * "private", because the root may ask for what the host mounts later. */
static int build_rootfs(Init *i, Error *e) {
        struct mount_attr attr = {.propagation = MS_SLAVE};
        bool attached = false;
        int r;

        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return error_setf(e, -errno, "Failed to separate the mounts from the host's: %m");
        if (i->p->rootfs_lower) {
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

static int build_mounts(Init *i, Error *e) {
        return filesystems_mount(&i->filesystems, i->root_fd, false, e);
}

static int build_devices(Init *i, Error *e) {
        return devices_make(i->spec, i->root_fd, e);
}

static int build_masks(Init *i, Error *e) {
        int r;

        r = masks_apply(i->spec, i->root_fd, e);
        if (r != 0)
                return r;
        return readonly_paths_apply(i->spec, i->root_fd, false, e);
}

static int build_terminal(Init *i, Error *e) {
        const SpecProcess *p = &i->spec->process;

        if (!p->terminal)
                return 0;
        return terminal_make(i->root_fd, p->columns, p->rows,
                             !devices_are_bound(i->spec, "/dev/console"), &i->terminal, e);
}

static int build_user(Init *i, Error *e) {
        const SpecProcess *p = &i->spec->process;
        bool want_home = !strv_env_get((char *const *) p->env, "HOME");
        int r;

        r = user_resolve(i->root_fd, &p->user, want_home, &i->user, e);
        if (r != 0)
                return r;
        return process_environment(p, i->user.home, &i->env, e);
}

static int build_pivot(Init *i, Error *e) {
        return rootfs_enter(i->root_fd, i->spec->root_propagation, e);
}

static const InitStep build_steps[] = {
                {STAGE_MOUNTS, build_sources},    {STAGE_NAMESPACES, build_namespaces},
                {STAGE_SYSCTL, build_sysctls},    {STAGE_SECCOMP, build_seccomp},
                {STAGE_ROOTFS, build_rootfs},     {STAGE_MOUNTS, build_mounts},
                {STAGE_DEVICES, build_devices},   {STAGE_MASKS, build_masks},
                {STAGE_TERMINAL, build_terminal}, {STAGE_USER, build_user},
                {STAGE_ROOTFS, build_pivot},
};

static int enter_cgroup(Init *i, Error *e) {
        int r;

        r = namespaces_enter(i->spec->namespaces, 1U << NAMESPACE_CGROUP, e);
        if (r != 0)
                return r;
        r = filesystems_mount(&i->filesystems, i->root_fd, true, e);
        if (r != 0)
                return r;
        return readonly_paths_apply(i->spec, i->root_fd, true, e);
}

/* The working directory is made if the image lacks it, so before the root is read-only. */
static int enter_directory(Init *i, Error *e) {
        int r;

        r = process_enter_directory(i->root_fd, i->spec->process.cwd, e);
        if (r != 0)
                return r;
        if (!i->spec->root_readonly)
                return 0;
        r = mount_change(i->root_fd, MOUNT_ATTR_RDONLY, 0, 0, false);
        if (r < 0)
                return error_setf(e, r, "Failed to make the root file system read-only: %m");
        return 0;
}

static int enter_stdio(Init *i, Error *e) {
        bool terminal = i->spec->process.terminal;
        int fds[3], r;

        for (int k = 0; k < 3; k++)
                fds[k] = terminal              ? i->terminal.slave_fd
                         : i->p->stdio[k] >= 0 ? i->p->stdio[k]
                                               : i->null_fd;
        r = process_set_stdio(fds, terminal, e);
        if (r != 0)
                return r;
        return process_give_stdio(i->user.uid, e);
}

/* Loading a filter needs no_new_privs or CAP_SYS_ADMIN: without the former the capabilities stay
 * until the filter is loaded, right before execve(). */
static bool credentials_are_late(const Init *i) {
        return i->seccomp.filter && !i->spec->process.no_new_privileges;
}

static int enter_process(Init *i, Error *e) {
        const SpecProcess *p = &i->spec->process;
        int r;

        r = process_new_keyring(e);
        if (r == 0)
                r = rlimits_apply(&p->rlimits, false, e);
        if (r == 0)
                r = capability_bounding_set(p->capabilities.bounding, e);
        if (r == 0)
                r = process_set_user(&i->user, e);
        if (r != 0)
                return r;
        (void) umask(p->user.umask != (mode_t) -1 ? p->user.umask : i->umask);
        if (i->spec->personality_set && personality(i->spec->personality) < 0)
                return error_setf(e, -errno, "Failed to set the personality: %m");
        if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to set no_new_privs: %m");
        return credentials_are_late(i) ? 0 : capabilities_apply(&p->capabilities, e);
}

static int enter_executable(Init *i, Error *e) {
        return executable_find(i->spec->process.args[0], strv_env_get(i->env, "PATH"), &i->path, e);
}

static const InitStep enter_steps[] = {
                {STAGE_CGROUP, enter_cgroup},   {STAGE_PROCESS, enter_directory},
                {STAGE_PROCESS, enter_stdio},   {STAGE_PROCESS, enter_process},
                {STAGE_EXEC, enter_executable},
};

/* A change of credentials has cleared the signal. If the supervisor died before this, its end of
 * the socket is closed. */
static int start_tie_to_parent(Init *i, Error *e) {
        struct pollfd p = {.fd = i->p->sync_fd};

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || poll(&p, 1, 0) < 0)
                return error_setf(e, -errno, "Failed to set the parent death signal: %m");
        if (p.revents & (POLLHUP | POLLERR))
                return error_setf(e, -EOWNERDEAD, "The supervisor is gone");
        return 0;
}

static int start_limits(Init *i, Error *e) {
        return rlimits_apply(&i->spec->process.rlimits, true, e);
}

/* The filter comes last: it need not allow anything but execve() and, if that fails, what it takes
 * to say so (and capset() and prctl() without no_new_privs). */
static int start_credentials(Init *i, Error *e) {
        int r;

        if (!credentials_are_late(i))
                return seccomp_filter_load(&i->seccomp, e);
        r = capability_raise_permitted(e);
        if (r == 0)
                r = seccomp_filter_load(&i->seccomp, e);
        if (r == 0)
                r = capabilities_apply(&i->spec->process.capabilities, e);
        return r;
}

static int start_execute(Init *i, Error *e) {
        int code;

        (void) execve(i->path, (char *const *) i->spec->process.args, i->env);
        code = errno == ENOENT ? CTR_COMMAND_NOT_FOUND : CTR_COMMAND_NOT_EXECUTABLE;
        return error_setf(e, code, "Failed to execute %s: %m", i->path);
}

static const InitStep start_steps[] = {
                {STAGE_EXEC, start_tie_to_parent},
                {STAGE_EXEC, start_limits},
                {STAGE_EXEC, start_credentials},
                {STAGE_EXEC, start_execute},
};

_noreturn_ static void fail(const Init *i, InitStage stage, int code, const Error *e) {
        /* nobody to tell is no reason to stay */
        (void) sync_send_error(i->p->sync_fd, stage, code, e);
        _exit(code == CTR_COMMAND_NOT_FOUND ? 127 : code == CTR_COMMAND_NOT_EXECUTABLE ? 126 : 125);
}

static void run(Init *i, const InitStep *steps, size_t n) {
        for (size_t k = 0; k < n; k++) {
                Error e = ERROR_NULL;
                int r;

                r = steps[k].run(i, &e);
                if (r != 0)
                        fail(i, steps[k].stage, r, &e);
        }
}

/* Waits for the supervisor's word. If it is gone, so is the reason to be here. */
static void wait_for(const Init *i, SyncType type) {
        bool failed;

        if (sync_receive(i->p->sync_fd, UINT64_MAX, NULL, &failed, NULL) != (int) type)
                _exit(125);
}

/* Out of the supervisor's session, signal dispositions and reach of ptrace. Not dumpable: until
 * execve() this is the supervisor's memory and binary, and a process of a joined pid namespace must
 * not open its /proc/PID/exe or mem. execve() makes it dumpable again. */
static int separate(void) {
        sigset_t none;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        if (setsid() < 0)
                return -errno;
        /* handlers are gone by CLONE_CLEAR_SIGHAND, what was ignored is not */
        for (int signo = 1; signo < NSIG; signo++)
                if (signo != SIGKILL && signo != SIGSTOP)
                        (void) signal(signo, SIG_DFL);
        (void) sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

_noreturn_ void init_run(const InitParameters *p) {
        Init i = {
                        .p = p,
                        .spec = p->spec,
                        .terminal = {-1, -1},
                        .null_fd = -1,
                        .root_fd = -1,
        };
        int r;

        r = separate();
        if (r < 0)
                fail(&i, STAGE_PROCESS, r, NULL);
        i.umask = umask(0);

        run(&i, build_steps, ELEMENTSOF(build_steps));
        wait_for(&i, SYNC_ENTER);
        run(&i, enter_steps, ELEMENTSOF(enter_steps));
        r = sync_send(p->sync_fd, SYNC_CREATED, i.terminal.master_fd);
        if (r < 0)
                _exit(125);
        i.terminal.master_fd = fd_close(i.terminal.master_fd);
        wait_for(&i, SYNC_START);
        run(&i, start_steps, ELEMENTSOF(start_steps));
        _exit(125);
}
