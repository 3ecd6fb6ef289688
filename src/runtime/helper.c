/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/helper.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "runtime/step.h"

struct Helper {
        pid_t pid;
        int pidfd;
        int sync_fd; /* end of file when the program is executed, or the reason why not */
        bool reaped;
};

_noreturn_ static void become(const char *path, int sync_fd, HelperPrepare prepare,
                              void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        char **arguments = NULL;
        sigset_t none;
        int r;

        /* out of the way of the descriptors that are prepared */
        sync_fd = fcntl(sync_fd, F_DUPFD_CLOEXEC, HELPER_FD_MAX);
        if (sync_fd < 0)
                _exit(EXIT_FAILURE);
        (void) sigemptyset(&none);
        for (int signo = 1; signo < NSIG; signo++)
                if (signo != SIGKILL && signo != SIGSTOP)
                        (void) signal(signo, SIG_DFL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
            sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                step_fail(sync_fd, STAGE_PROCESS, -errno, NULL);
        r = prepare(userdata, &arguments, &e);
        if (r != 0)
                step_fail(sync_fd, STAGE_PROCESS, r, &e);
        (void) execv(path, arguments);
        r = error_setf(&e, CTR_UNAVAILABLE, "Failed to execute %s: %m", path);
        step_fail(sync_fd, STAGE_EXEC, r, &e);
}

static int helper_clone(Helper *h, const char *path, int child_fd, HelperPrepare prepare,
                        void *userdata, Error *e) {
        pid_t pid;

        pid = process_clone(0, -1, &h->pidfd);
        if (pid < 0)
                return error_setf(e, pid, "Failed to clone: %m");
        if (pid == 0)
                become(path, child_fd, prepare, userdata);
        h->pid = pid;
        return 0;
}

int helper_new(const char *path, HelperPrepare prepare, void *userdata, Helper **ret, Error *e) {
        _cleanup_(helper_freep) Helper *h = NULL;
        _cleanup_close_ int child_fd = -1;
        int fds[2], r;

        assert(path && path[0] == '/' && prepare && ret);

        h = malloc(sizeof(*h));
        if (!h)
                return -ENOMEM;
        *h = (Helper){.pidfd = -1, .sync_fd = -1};
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        h->sync_fd = fds[0];
        child_fd = fds[1];
        r = helper_clone(h, path, child_fd, prepare, userdata, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

Helper *helper_free(Helper *h) {
        if (!h)
                return NULL;
        if (h->pid > 0 && !h->reaped)
                pidfd_forsake(h->pidfd);
        fd_close(h->pidfd);
        fd_close(h->sync_fd);
        free(h);
        return NULL;
}

int helper_pidfd(const Helper *h) {
        return h->pidfd;
}

pid_t helper_pid(const Helper *h) {
        return h->pid;
}

/* Why the clone did not become the program: 0 if it did. */
static int preparation_error(Helper *h, Error *e) {
        SyncAnswer answer;
        int r;

        r = sync_receive(h->sync_fd, 0, &answer, e);
        fd_close(answer.fd);
        return answer.failed ? r : 0;
}

int helper_finish(Helper *h, int *ret_status, Error *e) {
        int r, status = 0;

        r = pidfd_wait(h->pidfd, &status);
        h->reaped = true;
        if (r < 0)
                return error_setf(e, r, "Failed to learn how a program ended: %m");
        r = preparation_error(h, e);
        if (r != 0)
                return r;
        *ret_status = status;
        return 0;
}

int helper_read_pid(int dir_fd, const char *name, const char *who, pid_t *ret_pid, int *ret_pidfd,
                    Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int pidfd = -1;
        siginfo_t si = {};
        long pid;
        int r;

        r = file_read_at(dir_fd, name, 32, &text, NULL);
        (void) unlinkat(dir_fd, name, 0);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s of %s: %m", name, who);
        pid = strtol(text, NULL, 10);
        if (pid <= 1 || pid > INT_MAX)
                return error_setf(e, -EBADMSG, "%s of %s has no process in it", name, who);
        pidfd = pidfd_open_pid((pid_t) pid);
        if (pidfd < 0)
                return error_setf(e, pidfd, "Failed to find the process that %s made: %m", who);
        /* ours, and not yet reaped: so the number cannot have been given to another process */
        if (waitid(P_PIDFD, (id_t) pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                return error_setf(e, -errno, "The process that %s made is not a child: %m", who);
        *ret_pid = (pid_t) pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}
