/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/container.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "runtime/cgroup-owner.h"
#include "runtime/container-late.h"
#include "runtime/container-setup.h"
#include "runtime/seccomp-notify.h"
#include "runtime/sync.h"

#define KILL_TIMEOUT_USEC (10 * USEC_PER_SEC)

struct Container {
        Setup *setup; /* NULL once init needs nothing of it any more */
        Late *late;   /* NULL: no hooks are left to be run */
        pid_t pid;    /* 0: not cloned */
        int pidfd;
        int sync_fd;
        bool reaped;
        bool placed; /* init is in its cgroup since it was cloned */
        bool created;
        bool starting;        /* between container_start_begin() and its outcome */
        bool hooked;          /* it came as far as its hooks: those of its end are due */
        uid_t cgroup_owner;   /* of the payload cgroup */
        ResctrlGroups groups; /* to be removed with it */
        char *resctrl_root;
        char *listener; /* where a filter that notifies wants its descriptor; NULL: there is none */
};

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

int container_clone(Container *c, int cgroup_fd, Error *e) {
        _cleanup_close_ int child_fd = -1;
        int fds[2], r;

        assert(c && c->setup && c->pid == 0);

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        c->sync_fd = fds[0];
        child_fd = fds[1];

        /* the stage of a user namespace is moved with its init */
        c->placed = cgroup_fd >= 0 && !c->setup->spec->namespaces[NAMESPACE_USER].set;
        r = setup_clone(c->setup, c->placed ? cgroup_fd : -1, c->sync_fd, child_fd, &c->pid,
                        &c->pidfd, e);
        if (r != 0)
                return r;
        r = late_new(c->setup, &c->late);
        if (r == 0 && c->setup->spec->seccomp)
                r = free_and_strdup(&c->listener, seccomp_filter_listener(c->setup->spec->seccomp));
        if (r < 0)
                return r;
        c->cgroup_owner = cgroup_owner_of(c->setup->spec);
        if (!spec_is_held(c->setup->spec) && !c->placed)
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

/* Init is in its cgroup by now and has built everything, or is about to. */
static int serve_init(Container *c, uint64_t deadline, Error *e) {
        SyncAnswer answer;
        int r;

        r = sync_receive(c->sync_fd, deadline, &answer, e);
        fd_close(answer.fd);
        if (answer.failed)
                return r;
        if (r != SYNC_BUILT)
                return no_answer(r, "build the container", e);
        c->hooked = true;
        if (c->setup->spec->intel_rdt.set &&
            free_and_strdup(&c->resctrl_root, c->setup->resctrl_root) < 0)
                return -ENOMEM;
        r = setup_serve_init(c->setup, c->pid, deadline, &c->groups, e);
        if (r != 0)
                return r;
        c->setup = setup_free(c->setup);
        (void) malloc_trim(0);
        return 0;
}

/* Init gets into its cgroup unless it is there, and may use it. */
static int place(const Container *c, int cgroup_fd, Error *e) {
        _cleanup_error_ Error cgroup_error = ERROR_NULL;
        int r;

        if (cgroup_fd < 0)
                return 0;
        r = c->placed ? 0 : cgroup_move(cgroup_fd, c->pid, &cgroup_error);
        /* ESRCH: init is gone. Why, it has said itself. */
        if (r != 0 && r != -ESRCH)
                return error_propagate(e, r, &cgroup_error);
        return cgroup_owner_set(cgroup_fd, c->cgroup_owner, e);
}

static int enter(Container *c, int cgroup_fd, uint64_t deadline, int *ret_terminal_fd, Error *e) {
        SyncAnswer answer;
        int r;

        r = place(c, cgroup_fd, e);
        if (r != 0)
                return r;
        if (c->setup && spec_is_held(c->setup->spec)) {
                r = serve_init(c, deadline, e);
                if (r != 0) {
                        /* which tells init to go */
                        c->sync_fd = fd_close(c->sync_fd);
                        return r;
                }
        }
        /* EPIPE, too: its last words are still there to be read */
        r = sync_send(c->sync_fd, SYNC_ENTER, 0, -1);
        if (r < 0 && r != -EPIPE)
                return error_setf(e, r, "Failed to speak to init: %m");
        r = sync_receive(c->sync_fd, deadline, &answer, e);
        if (answer.failed)
                return r;
        if (r != SYNC_CREATED) {
                fd_close(answer.fd);
                return no_answer(r, "set up the container", e);
        }
        c->created = c->hooked = true;
        *ret_terminal_fd = answer.fd;
        return 0;
}

/* As process_clone() tells of some kernels. Such an init has not run at all. */
static bool was_killed_at_birth(const Container *c) {
        siginfo_t si = {};

        if (!c->placed || c->hooked)
                return false;
        (void) pidfd_wait_until(c->pidfd, now_monotonic() + KILL_TIMEOUT_USEC);
        return waitid(P_PIDFD, (id_t) c->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) >= 0 &&
               si.si_pid != 0 && si.si_code == CLD_KILLED && si.si_status == SIGKILL;
}

static int clone_again(Container *c, Error *e) {
        container_kill(c);
        c->reaped = false;
        c->pid = 0;
        c->pidfd = fd_close(c->pidfd);
        c->sync_fd = fd_close(c->sync_fd);
        c->late = late_free(c->late);
        return container_clone(c, -1, e);
}

int container_enter(Container *c, int cgroup_fd, uint64_t timeout_usec, int *ret_terminal_fd,
                    Error *e) {
        uint64_t deadline = deadline_after(timeout_usec);
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        assert(c && c->pid > 0 && !c->created && ret_terminal_fd);

        if (!e)
                e = &local;
        r = enter(c, cgroup_fd, deadline, ret_terminal_fd, e);
        if (r == -ECHILD && was_killed_at_birth(c)) {
                error_clear(e);
                r = clone_again(c, e);
                if (r == 0)
                        r = enter(c, cgroup_fd, deadline, ret_terminal_fd, e);
        }
        if (r == 0)
                c->setup = setup_free(c->setup);
        return r;
}

int container_start_begin(Container *c, Error *e) {
        _cleanup_close_ int listener_fd = -1;
        int r;

        assert(c);

        if (!c->created || c->starting || c->sync_fd < 0)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The container is %s",
                                  c->created ? "already started" : "not set up");
        if (c->listener) {
                r = seccomp_notify_connect(c->listener, &listener_fd, e);
                if (r != 0)
                        return r;
        }
        r = sync_send(c->sync_fd, SYNC_START, c->pid, listener_fd);
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

int container_hooks_begin(Container *c, HookPoint point, uint64_t timeout_usec, HooksRun **ret,
                          Error *e) {
        assert(c && ret);

        *ret = NULL;
        return c->late && c->hooked ? late_hooks_begin(c->late, c->pid, point, timeout_usec, ret, e)
                                    : 0;
}

void container_take_resctrl_groups(Container *c, ResctrlGroups *ret) {
        *ret = c->groups;
        c->groups = (ResctrlGroups){};
}

/* What is left then is a directory that nobody is in. */
static void remove_groups(Container *c) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (resctrl_remove(&c->groups, c->resctrl_root, &e) != 0)
                log_warning("%s", error_text(&e));
        resctrl_groups_clear(&c->groups);
        free(c->resctrl_root);
}

void container_kill(Container *c) {
        if (c->pid > 0 && !c->reaped)
                pidfd_end(c->pidfd, KILL_TIMEOUT_USEC); /* else it is the subreaper's */
        c->reaped = true;
}

Container *container_free(Container *c) {
        if (!c)
                return NULL;
        setup_free(c->setup);
        late_free(c->late);
        container_kill(c);
        remove_groups(c);
        fd_close(c->pidfd);
        fd_close(c->sync_fd);
        free(c->listener);
        free(c);
        return NULL;
}
