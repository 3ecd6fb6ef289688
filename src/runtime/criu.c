/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/criu.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "runtime/step.h"

#define LOG_LINE_MAX 1000U
#define LOG_SIZE_MAX (256U * 1024 * 1024)

struct Criu {
        pid_t pid;
        int pidfd;
        int sync_fd; /* end of file when criu is executed, or the reason why not */
        bool reaped;
};

_noreturn_ static void become_criu(const char *path, int sync_fd, CriuPrepare prepare,
                                   void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        char **arguments = NULL;
        sigset_t none;
        int r;

        /* out of the way of the descriptors that are prepared */
        sync_fd = fcntl(sync_fd, F_DUPFD_CLOEXEC, CRIU_FD_MAX);
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

static int criu_clone(Criu *c, const char *path, int child_fd, CriuPrepare prepare, void *userdata,
                      Error *e) {
        struct clone_args args = {
                        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                        .pidfd = (uint64_t) (uintptr_t) &c->pidfd,
                        .exit_signal = SIGCHLD,
        };
        long pid;

        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                return error_setf(e, -errno, "Failed to clone: %m");
        if (pid == 0)
                become_criu(path, child_fd, prepare, userdata);
        c->pid = (pid_t) pid;
        return 0;
}

int criu_new(CriuPrepare prepare, void *userdata, Criu **ret, Error *e) {
        _cleanup_(criu_freep) Criu *c = NULL;
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int child_fd = -1;
        int fds[2], r;

        assert(prepare && ret);

        r = process_find_program("criu", &path);
        if (r == -ENOENT)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "CRIU is not installed: there is no program \"criu\" in $PATH");
        if (r < 0)
                return r;
        c = malloc(sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (Criu){.pidfd = -1, .sync_fd = -1};
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        c->sync_fd = fds[0];
        child_fd = fds[1];
        r = criu_clone(c, path, child_fd, prepare, userdata, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Criu *criu_free(Criu *c) {
        if (!c)
                return NULL;
        if (c->pid > 0 && !c->reaped)
                pidfd_forsake(c->pidfd);
        fd_close(c->pidfd);
        fd_close(c->sync_fd);
        free(c);
        return NULL;
}

int criu_pidfd(const Criu *c) {
        return c->pidfd;
}

pid_t criu_pid(const Criu *c) {
        return c->pid;
}

int criu_log_first_error(int dir_fd, const char *name, char **ret) {
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_close_ int fd = -1;
        char line[LOG_LINE_MAX];
        size_t size = 0;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "r");
        if (!f)
                return -errno;
        TAKE_FD(fd);
        *ret = NULL;
        while (size < LOG_SIZE_MAX && fgets(line, sizeof(line), f)) {
                const char *error = strstr(line, "Error (");

                size += strlen(line);
                if (!error || (error != line && error[-1] != ' '))
                        continue;
                line[strcspn(line, "\n")] = '\0';
                *ret = strdup(error);
                return *ret ? 0 : -ENOMEM;
        }
        return ferror(f) ? -EIO : 0;
}

int criu_log_copy(int dir_fd, const char *name, int to_dir_fd, const char *to_name) {
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;
        size_t size;
        int r;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > CRIU_LOG_COPY_MAX && lseek(fd, -(off_t) CRIU_LOG_COPY_MAX, SEEK_END) < 0)
                return -errno;
        r = fd_read_all(fd, CRIU_LOG_COPY_MAX, &data, &size);
        return r < 0 ? r : file_write_atomic_at(to_dir_fd, to_name, data, size, 0600, 0);
}

/* Why the clone did not become criu: 0 if it did. */
static int preparation_error(Criu *c, Error *e) {
        SyncAnswer answer;
        int r;

        r = sync_receive(c->sync_fd, 0, &answer, e);
        fd_close(answer.fd);
        return answer.failed ? r : 0;
}

int criu_finish(Criu *c, int log_fd, const char *log_name, const char *log_path, Error *e) {
        _cleanup_free_ char *line = NULL;
        int r, status = 0;

        r = pidfd_wait(c->pidfd, &status);
        c->reaped = true;
        if (r < 0)
                return error_setf(e, r, "Failed to learn how CRIU ended: %m");
        r = preparation_error(c, e);
        if (r != 0)
                return r;
        if (status == 0)
                return 0;
        r = criu_log_first_error(log_fd, log_name, &line);
        if (r < 0 || !line)
                return error_setf(e, CTR_UNKNOWN, "CRIU failed with status %i%s%s", status,
                                  log_path ? ", see " : "", strempty(log_path));
        return error_setf(e, CTR_UNKNOWN, "CRIU failed: %s%s%s", line, log_path ? "; see " : "",
                          strempty(log_path));
}
