/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/container.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "runtime/init.h"
#include "runtime/namespace.h"
#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"
#include "runtime/sync.h"

#define KILL_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* What is needed until init runs, and then freed at once. */
typedef struct Setup {
        Spec *spec;
        int config_dir_fd; /* the caller's */
        int stdio[3];      /* the caller's */
        int (*open_stdio)(void *userdata, int stdio[3], Error *e);
        void *userdata;
        char *rootfs_lower, *rootfs_upper, *rootfs_work;
        char *hostname_fallback;
        char *seccomp_cache;
        bool independent, no_pivot, no_keyring;
        unsigned preserve_fds;
} Setup;

struct Container {
        Setup *setup; /* NULL once init is cloned */
        pid_t pid;    /* 0: not cloned */
        int pidfd;
        int sync_fd;
        bool reaped;
        bool created;
        bool starting; /* between container_start_begin() and its outcome */
};

static Setup *setup_free(Setup *s) {
        if (!s)
                return NULL;
        spec_free(s->spec);
        free(s->rootfs_lower);
        free(s->rootfs_upper);
        free(s->rootfs_work);
        free(s->hostname_fallback);
        free(s->seccomp_cache);
        free(s);
        return NULL;
}
DEFINE_CLEANUP(Setup *, setup_free);

static int setup_new(const ContainerParameters *p, Setup **ret, Error *e) {
        _cleanup_(setup_freep) Setup *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->config_dir_fd = p->config_dir_fd;
        memcpy(s->stdio, p->stdio, sizeof(s->stdio));
        s->open_stdio = p->open_stdio;
        s->userdata = p->userdata;
        s->independent = p->independent;
        s->no_pivot = p->no_pivot;
        s->no_keyring = p->no_keyring;
        s->preserve_fds = p->preserve_fds;
        if (free_and_strdup(&s->rootfs_lower, p->rootfs_lower) < 0 ||
            free_and_strdup(&s->rootfs_upper, p->rootfs_upper) < 0 ||
            free_and_strdup(&s->rootfs_work, p->rootfs_work) < 0 ||
            free_and_strdup(&s->hostname_fallback, p->hostname_fallback) < 0 ||
            free_and_strdup(&s->seccomp_cache, p->seccomp_cache) < 0)
                return -ENOMEM;
        r = p->document ? spec_parse(json_incref(p->document), &s->spec, e)
                        : spec_read(p->config_dir_fd, p->config_name, &s->spec, e);
        if (r != 0)
                return r;
        if (s->spec->seccomp) {
                r = seccomp_filter_check(s->spec->seccomp, e);
                if (r != 0)
                        return r;
        }
        if (!s->rootfs_lower && !s->spec->root_path)
                return error_setf(e, CTR_INVALID_ARGUMENT, "root.path is missing");
        *ret = TAKE_PTR(s);
        return 0;
}

int container_new(const ContainerParameters *parameters, Container **ret, Error *e) {
        _cleanup_(container_freep) Container *c = NULL;
        int r;

        assert(parameters && parameters->config_name && ret);

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->pidfd = c->sync_fd = -1;
        r = setup_new(parameters, &c->setup, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int container_adopt(pid_t pid, int pidfd, Container **ret) {
        Container *c;

        assert(pid > 0 && pidfd >= 0 && ret);

        c = malloc(sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (Container){.pid = pid, .pidfd = pidfd, .sync_fd = -1, .created = true};
        *ret = c;
        return 0;
}

/* Everything but the pid namespace is entered by init itself. Exits in the child. */
static int clone_init(Container *c, int child_fd, Error *e) {
        const Setup *s = c->setup;
        struct clone_args args = {
                        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                        .pidfd = (uint64_t) (uintptr_t) &c->pidfd,
                        .exit_signal = SIGCHLD,
        };
        long pid;

        if (namespace_is_new(&s->spec->namespaces[NAMESPACE_PID]))
                args.flags |= CLONE_NEWPID;
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                return error_setf(e, -errno, "Failed to clone init: %m");
        if (pid == 0) {
                const InitParameters p = {
                                .spec = s->spec,
                                .sync_fd = child_fd,
                                .bundle_fd = s->config_dir_fd,
                                .rootfs_lower = s->rootfs_lower,
                                .rootfs_upper = s->rootfs_upper,
                                .rootfs_work = s->rootfs_work,
                                .hostname_fallback = s->hostname_fallback,
                                .seccomp_cache = s->seccomp_cache,
                                .stdio = {s->stdio[0], s->stdio[1], s->stdio[2]},
                                .open_stdio = s->open_stdio,
                                .userdata = s->userdata,
                                .independent = s->independent,
                                .no_pivot = s->no_pivot,
                                .no_keyring = s->no_keyring,
                                .preserve_fds = s->preserve_fds,
                };

                fd_close(c->sync_fd);
                init_run(&p);
        }
        c->pid = (pid_t) pid;
        return 0;
}

/* A joined pid namespace is one for children: the supervisor sets it for this one clone. */
static int clone_init_joining(Container *c, const char *path, int child_fd, Error *e) {
        _cleanup_close_ int own_fd = -1, fd = -1;
        int r;

        r = namespace_open(NAMESPACE_PID, path, &fd, e);
        if (r == 0)
                r = namespace_open(NAMESPACE_PID, "/proc/self/ns/pid", &own_fd, e);
        if (r != 0)
                return r;
        if (setns(fd, CLONE_NEWPID) < 0)
                return error_setf(e, -errno, "Failed to join the pid namespace %s: %m", path);
        r = clone_init(c, child_fd, e);
        if (setns(own_fd, CLONE_NEWPID) < 0)
                return error_setf(e, -errno, "Failed to go back to the own pid namespace: %m");
        return r;
}

int container_clone(Container *c, Error *e) {
        _cleanup_close_ int child_fd = -1;
        const char *pid_path;
        int fds[2], r;

        assert(c && c->setup && c->pid == 0);

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        c->sync_fd = fds[0];
        child_fd = fds[1];

        pid_path = c->setup->spec->namespaces[NAMESPACE_PID].path;
        if (pid_path)
                r = clone_init_joining(c, pid_path, child_fd, e);
        else
                r = clone_init(c, child_fd, e);
        if (r != 0)
                return r;

        /* Init has its own copy: this is the largest part of what the supervisor ever allocates. */
        c->setup = setup_free(c->setup);
        (void) malloc_trim(0);
        return 0;
}

static int cgroup_move(int cgroup_fd, pid_t pid, Error *e) {
        _cleanup_close_ int fd = -1;
        char text[16];
        int n, r;

        fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open cgroup.procs of the payload: %m");
        n = snprintf(text, sizeof(text), "%d", pid);
        r = fd_write_all(fd, text, (size_t) n);
        if (r < 0)
                return error_setf(e, r, "Failed to move init to the payload cgroup: %m");
        return 0;
}

static uint64_t deadline_after(uint64_t timeout_usec) {
        uint64_t now = now_monotonic();

        return timeout_usec > UINT64_MAX - now ? UINT64_MAX : now + timeout_usec;
}

/* What it means that init gave no proper answer. */
static int no_answer(int r, const char *waiting_for, Error *e) {
        if (r == -ETIMEDOUT)
                return error_setf(e, CTR_DEADLINE_EXCEEDED, "Timed out waiting for init to %s",
                                  waiting_for);
        if (r < 0)
                return error_setf(e, r, "Failed to hear from init: %m");
        return error_setf(e, -ECHILD, "Init died before it could %s", waiting_for);
}

int container_enter(Container *c, int cgroup_fd, uint64_t timeout_usec, int *ret_terminal_fd,
                    Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        SyncAnswer answer;
        int r;

        assert(c && c->pid > 0 && !c->created && ret_terminal_fd);

        if (!e)
                e = &local;
        if (cgroup_fd >= 0) {
                _cleanup_error_ Error cgroup_error = ERROR_NULL;

                r = cgroup_move(cgroup_fd, c->pid, &cgroup_error);
                /* ESRCH: init is gone. Why, it has said itself. */
                if (r != 0 && r != -ESRCH)
                        return error_move(e, &cgroup_error);
        }
        /* EPIPE, too: its last words are still there to be read */
        r = sync_send(c->sync_fd, SYNC_ENTER, 0, -1);
        if (r < 0 && r != -EPIPE)
                return error_setf(e, r, "Failed to speak to init: %m");
        r = sync_receive(c->sync_fd, deadline_after(timeout_usec), &answer, e);
        if (answer.failed)
                return r;
        if (r != SYNC_CREATED) {
                fd_close(answer.fd);
                return no_answer(r, "set up the container", e);
        }
        c->created = true;
        *ret_terminal_fd = answer.fd;
        return 0;
}

int container_start_begin(Container *c, Error *e) {
        int r;

        assert(c);

        if (!c->created || c->starting || c->sync_fd < 0)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The container is %s",
                                  c->created ? "already started" : "not set up");
        r = sync_send(c->sync_fd, SYNC_START, 0, -1);
        if (r < 0)
                c->sync_fd = fd_close(c->sync_fd);
        /* init may have been killed meanwhile: without this it would look like success */
        if (r == -EPIPE)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Init died before it was started");
        if (r < 0)
                return error_setf(e, r, "Failed to start init: %m");
        c->starting = true;
        return 0;
}

int container_start_fd(const Container *c) {
        return c->starting ? c->sync_fd : -1;
}

static int start_receive(Container *c, uint64_t deadline, bool *ret_done, Error *e) {
        SyncAnswer answer;
        int r;

        assert(c && c->starting && ret_done);

        r = sync_receive(c->sync_fd, deadline, &answer, e);
        fd_close(answer.fd);
        *ret_done = r != -ETIMEDOUT || answer.failed;
        if (!*ret_done)
                return 0;
        if (r != 0 && !answer.failed)
                r = no_answer(r, "execute the program", e);
        c->sync_fd = fd_close(c->sync_fd);
        c->starting = false;
        return r;
}

int container_start_receive(Container *c, bool *ret_done, Error *e) {
        return start_receive(c, 0, ret_done, e);
}

int container_start(Container *c, uint64_t timeout_usec, Error *e) {
        bool done;
        int r;

        r = container_start_begin(c, e);
        if (r == 0)
                r = start_receive(c, deadline_after(timeout_usec), &done, e);
        if (r == 0 && !done)
                r = no_answer(-ETIMEDOUT, "execute the program", e);
        return r;
}

int container_detach(Container *c, int listen_fd, uint64_t timeout_usec, Error *e) {
        SyncAnswer answer;
        int r;

        assert(c && listen_fd >= 0);

        if (!c->created || c->starting || c->sync_fd < 0)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The container is not set up");
        r = sync_send(c->sync_fd, SYNC_DETACH, 0, listen_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to let go of init: %m");
        r = sync_receive(c->sync_fd, deadline_after(timeout_usec), &answer, e);
        fd_close(answer.fd);
        if (r != 0)
                return answer.failed ? r : no_answer(r, "stand alone", e);
        c->sync_fd = fd_close(c->sync_fd);
        return 0;
}

pid_t container_pid(const Container *c) {
        return c->pid;
}

int container_pidfd(const Container *c) {
        return c->pidfd;
}

void container_set_reaped(Container *c) {
        c->reaped = true;
}

Container *container_free(Container *c) {
        if (!c)
                return NULL;
        setup_free(c->setup);
        if (c->pid > 0 && !c->reaped) {
                struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
                siginfo_t si;

                (void) pidfd_signal(c->pidfd, SIGKILL);
                /* Bounded, because a process in uninterruptible sleep (a dead network file system)
                 * does not even die of SIGKILL; it is the subreaper's then. */
                (void) poll(&p, 1, (int) (KILL_TIMEOUT_USEC / USEC_PER_MSEC));
                (void) waitid(P_PIDFD, (id_t) c->pidfd, &si, WEXITED | WNOHANG);
        }
        fd_close(c->pidfd);
        fd_close(c->sync_fd);
        free(c);
        return NULL;
}
