/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/hooks.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "runtime/step.h"

#define OUTPUT_MAX        1024
#define KILL_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* One hook that runs. */
typedef struct Child {
        pid_t pid;
        int pidfd;
        int output_fd;
        size_t n_output;
        char output[OUTPUT_MAX + 1]; /* the last of what it printed */
} Child;

struct HooksRun {
        pid_t pid;
        int pidfd;
        int sync_fd;
};

int hooks_state(json_t *document, const char *id, const char *bundle, const char *status, pid_t pid,
                char **ret) {
        _cleanup_json_ json_t *state = NULL;
        json_t *annotations = json_object_get(document, "annotations");

        state = json_pack("{s:O, s:s, s:s, s:s}", "ociVersion",
                          json_object_get(document, "ociVersion"), "id", id, "status", status,
                          "bundle", bundle);
        if (!state)
                return -ENOMEM;
        if (pid > 0 && json_object_set_new(state, "pid", json_integer(pid)) < 0)
                return -ENOMEM;
        if (annotations && json_object_set(state, "annotations", annotations) < 0)
                return -ENOMEM;
        return json_to_text(state, ret);
}

/* A file and no pipe: nobody has to wait until a hook has read it, or does not read it at all. */
static int state_open(const char *state, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("state", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = fd_write_all(fd, state, strlen(state));
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Nothing but execve() and what it takes to say that it failed: a copy of a process that may have
 * had locks. */
_noreturn_ static void child_execute(const SpecHook *h, int state_fd, int output_fd,
                                     int (*prepare)(void *userdata), void *userdata) {
        const char *const only_path[] = {h->path, NULL}, *const nothing[] = {NULL};
        sigset_t none;
        int r = 0;

        for (int signo = 1; signo < NSIG; signo++)
                if (signo != SIGKILL && signo != SIGSTOP && signal(signo, SIG_DFL) == SIG_ERR &&
                    errno != EINVAL) /* the C library's own */
                        r = -errno;
        (void) sigemptyset(&none);
        if (r < 0)
                ;
        else if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
                 prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(state_fd, STDIN_FILENO) < 0 ||
                 dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0 ||
                 syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                r = -errno;
        if (r == 0 && prepare)
                r = prepare(userdata);
        if (r == 0) {
                const char *const *args = h->args && h->args[0] ? h->args : only_path;

                (void) execve(h->path, (char *const *) args,
                              (char *const *) (h->env ? h->env : nothing));
                r = -errno;
        }
        /* standard error may still be the caller's, who says it in a sentence of its own */
        (void) dprintf(output_fd, "%s", strerror(r < 0 ? -r : EINVAL));
        _exit(127);
}

static int child_start(const SpecHook *h, const char *state, int (*prepare)(void *userdata),
                       void *userdata, Child *ret) {
        _cleanup_close_ int state_fd = -1, write_fd = -1;
        int fds[2], r;
        pid_t pid;

        r = state_open(state, &state_fd);
        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        ret->output_fd = fds[0];
        write_fd = fds[1];
        r = fd_set_nonblock(write_fd, false);
        if (r < 0)
                return r;
        pid = process_clone(0, -1, &ret->pidfd);
        if (pid < 0)
                return pid;
        if (pid == 0) {
                /* a group of its own, to be killed as a whole */
                (void) setpgid(0, 0);
                child_execute(h, state_fd, write_fd, prepare, userdata);
        }
        (void) setpgid(pid, pid); /* whoever of the two comes first */
        ret->pid = pid;
        return 0;
}

/* Keeps the last of it. False when there is nothing more at the moment, or for ever. */
static bool child_read(Child *c) {
        char buffer[OUTPUT_MAX];
        size_t keep;
        ssize_t n;

        n = read(c->output_fd, buffer, sizeof(buffer));
        if (n == 0)
                c->output_fd = fd_close(c->output_fd);
        if (n <= 0)
                return false;
        keep = MIN_OF(c->n_output, OUTPUT_MAX - (size_t) n);
        memmove(c->output, c->output + c->n_output - keep, keep);
        memcpy(c->output + keep, buffer, (size_t) n);
        c->n_output = keep + (size_t) n;
        return true;
}

/* Until it has ended; -ETIMEDOUT. Whoever it left behind with its output is not waited for. */
static int child_wait(Child *c, uint64_t deadline) {
        for (;;) {
                struct pollfd p[] = {
                                {.fd = c->pidfd, .events = POLLIN},
                                {.fd = c->output_fd, .events = POLLIN},
                };
                int timeout = -1;

                if (deadline != UINT64_MAX) {
                        uint64_t now = now_monotonic();

                        if (now >= deadline)
                                return -ETIMEDOUT;
                        timeout = (int) MIN_OF((deadline - now) / USEC_PER_MSEC + 1,
                                               (uint64_t) INT32_MAX);
                }
                if (poll(p, 2, timeout) < 0 && errno != EINTR)
                        return -errno;
                if (p[1].revents)
                        (void) child_read(c);
                if (p[0].revents)
                        return 0;
        }
}

/* Kills the group and reaps the hook itself. */
static void child_end(Child *c, int *ret_status) {
        struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
        siginfo_t si = {};

        *ret_status = -1;
        if (c->pid > 0) {
                bool ended;

                (void) kill(-c->pid, SIGKILL);
                ended = poll(&p, 1, (int) (KILL_TIMEOUT_USEC / USEC_PER_MSEC)) > 0;
                /* one that somebody traces has ended for us only when the tracer was told */
                if (waitid(P_PIDFD, (id_t) c->pidfd, &si, WEXITED | (ended ? 0 : WNOHANG)) >= 0 &&
                    si.si_pid > 0)
                        *ret_status = exit_status_from_siginfo(&si);
        }
        for (unsigned i = 0; i < 64 && c->output_fd >= 0 && child_read(c); i++)
                ;
        c->output[c->n_output] = '\0';
        c->output[strcspn(c->output, "\r")] = '\0';
        while (c->n_output > 0 && c->output[c->n_output - 1] == '\n')
                c->output[--c->n_output] = '\0';
        c->pidfd = fd_close(c->pidfd);
        c->output_fd = fd_close(c->output_fd);
}

static int run_one(const SpecHook *h, const char *name, const char *state, uint64_t deadline,
                   int (*prepare)(void *userdata), void *userdata, Error *e) {
        Child c = {.pidfd = -1, .output_fd = -1};
        int r, status;

        if (h->timeout_sec > 0)
                deadline = MIN_OF(deadline, now_monotonic() + h->timeout_sec * USEC_PER_SEC);
        r = child_start(h, state, prepare, userdata, &c);
        if (r == 0)
                r = child_wait(&c, deadline);
        child_end(&c, &status);
        if (r == -ETIMEDOUT)
                return error_setf(e, CTR_DEADLINE_EXCEEDED, "%s: %.256s did not end in time", name,
                                  h->path);
        if (r < 0)
                return error_setf(e, r, "%s: Failed to run %.256s: %m", name, h->path);
        if (status == 0)
                return 0;
        return error_setf(e, CTR_FAILED_PRECONDITION, "%s: %.256s failed with status %i%s%s", name,
                          h->path, status, c.n_output > 0 ? ": " : "", c.output);
}

int hooks_run(const SpecHooks *hooks, HookPoint point, const char *state, uint64_t deadline,
              int (*prepare)(void *userdata), void *userdata, Error *e) {
        for (size_t i = 0; i < hooks->n; i++) {
                char name[64];
                int r;

                (void) snprintf(name, sizeof(name), "hooks.%s[%zu]", hook_point_to_string(point),
                                i);
                r = run_one(&hooks->list[i], name, state, deadline, prepare, userdata, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* The clone says how it went with one message: without one it was killed. */
_noreturn_ static void run_all(const SpecHooks *hooks, HookPoint point, const char *state,
                               uint64_t timeout_usec, int sync_fd) {
        Error e = ERROR_NULL;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = hooks_run(hooks, point, state, now_monotonic() + timeout_usec, NULL, NULL, &e);
        if (r != 0)
                step_fail(sync_fd, STAGE_HOOKS, r, &e);
        _exit(sync_send(sync_fd, SYNC_DONE, 0, -1) < 0);
}

int hooks_begin(const SpecHooks *hooks, HookPoint point, const char *state, uint64_t timeout_usec,
                HooksRun **ret, Error *e) {
        _cleanup_(hooks_freep) HooksRun *run = NULL;
        _cleanup_close_ int child_fd = -1;
        int fds[2];
        pid_t pid;

        run = malloc(sizeof(*run));
        if (!run)
                return -ENOMEM;
        *run = (HooksRun){.pidfd = -1, .sync_fd = -1};
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        run->sync_fd = fds[0];
        child_fd = fds[1];
        pid = process_clone(0, -1, &run->pidfd);
        if (pid < 0)
                return error_setf(e, pid, "Failed to clone a process for hooks: %m");
        if (pid == 0) {
                fd_close(run->sync_fd);
                run_all(hooks, point, state, timeout_usec, child_fd);
        }
        run->pid = pid;
        *ret = TAKE_PTR(run);
        return 0;
}

int hooks_fd(const HooksRun *run) {
        return run->sync_fd;
}

int hooks_receive(HooksRun *run, bool *ret_done, Error *e) {
        SyncAnswer answer;
        int r;

        r = sync_receive(run->sync_fd, 0, &answer, e);
        fd_close(answer.fd);
        *ret_done = r != -ETIMEDOUT || answer.failed;
        if (!*ret_done)
                return 0;
        if (r == SYNC_DONE && !answer.failed)
                return 0;
        if (!answer.failed)
                return error_setf(e, -ECHILD, "The process that runs the hooks died");
        return r;
}

HooksRun *hooks_free(HooksRun *run) {
        siginfo_t si;

        if (!run)
                return NULL;
        if (run->pid > 0) {
                struct pollfd p = {.fd = run->pidfd, .events = POLLIN};

                (void) pidfd_signal(run->pidfd, SIGKILL);
                (void) poll(&p, 1, (int) (KILL_TIMEOUT_USEC / USEC_PER_MSEC));
                /* ECHILD: somebody reaps all orphans */
                (void) waitid(P_PIDFD, (id_t) run->pidfd, &si, WEXITED | WNOHANG);
        }
        fd_close(run->pidfd);
        fd_close(run->sync_fd);
        free(run);
        return NULL;
}
