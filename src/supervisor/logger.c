/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/logger.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "supervisor/flow.h"

#define ARGUMENTS_MAX 128U
#define END_USEC      (2 * USEC_PER_SEC)    /* from the end of its input to SIGTERM */
#define LATE_USEC     (10 * USEC_PER_SEC)   /* the same as long as it has not read all */
#define LOOK_USEC     (200 * USEC_PER_MSEC) /* how often that is looked at */
#define KILL_USEC     (12 * USEC_PER_SEC)   /* from SIGTERM to SIGKILL */

#define FREE_MSEC 1000

typedef enum LoggerState {
        LOGGER_STARTING,
        LOGGER_READY,
        LOGGER_FAILED, /* it ended, or closed the pipe, without being ready */
} LoggerState;

struct Logger {
        LoggerState state;
        bool byte_needed, ending, terminated, gone;
        char *path;
        pid_t pid;
        int pidfd, ready_fd;
        int pipes[2]; /* its input, to see whether it has read all, and to read instead of it */
        Flow drop[2];
        Source pid_source, ready_source;
        Timer timer;
        uint64_t late_at;
        void (*changed)(void *userdata);
        void *userdata;
};

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX, and '+' in a query, in place. False for what is malformed. */
static bool uri_decode(char *s, bool query) {
        char *to = s;

        for (; *s; s++, to++) {
                if (*s != '%') {
                        *to = query && *s == '+' ? ' ' : *s;
                        continue;
                }
                int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);

                if (low < 0 || (high == 0 && low == 0))
                        return false;
                *to = (char) (high * 16 + low);
                s += 2;
        }
        *to = '\0';
        return true;
}

/* The program and its arguments: argv[0] is the path. */
static int uri_parse(const char *uri, bool *ret_byte_needed, char ***ret_argv, Error *e) {
        _cleanup_strv_free_ char **argv = NULL;
        _cleanup_free_ char *copy = NULL;
        char *query, *save = NULL;
        const char *path;
        bool valid;

        *ret_byte_needed = startswith(uri, "binary-v2:");
        path = startswith(uri, *ret_byte_needed ? "binary-v2://" : "binary://");
        if (!path || path[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected binary:///PATH", uri);
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        query = strchr(copy, '?');
        if (query)
                *query++ = '\0';

        valid = uri_decode(copy, false);
        if (strv_extend(&argv, copy) < 0)
                return -ENOMEM;
        for (char *key = query ? strtok_r(query, "&", &save) : NULL; valid && key;
             key = strtok_r(NULL, "&", &save)) {
                char *value = strchr(key, '=');

                if (value)
                        *value++ = '\0';
                valid = uri_decode(key, true) && (!value || uri_decode(value, true)) &&
                        strv_length(argv) + 2 <= ARGUMENTS_MAX;
                if (strv_extend(&argv, key) < 0 || strv_extend(&argv, strempty(value)) < 0)
                        return -ENOMEM;
        }
        if (!valid)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: the URI is malformed", uri);
        *ret_argv = TAKE_PTR(argv);
        return 0;
}

static void ready_close(Logger *l) {
        source_remove(&l->ready_source);
        l->ready_fd = fd_close(l->ready_fd);
}

/* Looks at the pipe that tells. */
static void ready_receive(Logger *l) {
        char byte;
        ssize_t n;

        n = read(l->ready_fd, &byte, 1);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        l->state = n == 1 || (n == 0 && !l->byte_needed) ? LOGGER_READY : LOGGER_FAILED;
        ready_close(l);
}

static void on_ready(void *userdata, short revents) {
        Logger *l = userdata;

        ready_receive(l);
        if (l->state != LOGGER_STARTING)
                l->changed(l->userdata);
}

static void drop_changed(void *userdata) {
}

/* The program that writes must not wait for a reader that is gone. */
static void drop_instead(Logger *l) {
        for (size_t i = 0; i < ELEMENTSOF(l->pipes); i++) {
                int r;

                if (l->pipes[i] < 0)
                        continue;
                r = stream_own(&l->pipes[i], false);
                if (r >= 0)
                        r = flow_add_source(&l->drop[i], TAKE_FD(l->pipes[i]), NULL);
                l->pipes[i] = fd_close(l->pipes[i]);
                if (r < 0)
                        log_debug_errno(r, "Failed to read instead of %s: %m", l->path);
        }
}

static void on_exit_of_logger(void *userdata, short revents) {
        Logger *l = userdata;
        int r, status = 0;

        r = pidfd_wait(l->pidfd, &status);
        if (r < 0)
                log_warning_errno(r, "Failed to reap the log program %s: %m", l->path);
        source_remove(&l->pid_source);
        timer_remove(&l->timer);
        l->gone = true;
        if (l->state == LOGGER_STARTING)
                ready_receive(l);
        if (l->state == LOGGER_STARTING)
                /* somebody who inherited the pipe holds it */
                l->state = LOGGER_FAILED;
        if (!l->ending) {
                log_warning("The log program %s has exited with %i, output is dropped", l->path,
                            status);
                drop_instead(l);
        }
        l->changed(l->userdata);
}

static bool has_unread(const Logger *l) {
        for (size_t i = 0; i < ELEMENTSOF(l->pipes); i++) {
                int n = 0;

                if (l->pipes[i] >= 0 && ioctl(l->pipes[i], FIONREAD, &n) >= 0 && n > 0)
                        return true;
        }
        return false;
}

static void on_timer(void *userdata) {
        Logger *l = userdata;
        uint64_t now = now_monotonic();
        int signo = l->terminated ? SIGKILL : SIGTERM, r;

        if (!l->terminated && has_unread(l) && now < l->late_at) {
                loop_add_timer(l->drop[0].loop, &l->timer, now + LOOK_USEC);
                return;
        }
        r = pidfd_signal(l->pidfd, signo);
        if (r < 0)
                log_warning_errno(r, "Failed to end the log program %s: %m", l->path);
        if (!l->terminated)
                loop_add_timer(l->drop[0].loop, &l->timer, now + KILL_USEC);
        l->terminated = true;
}

static int spawn_error(int r, const char *path, Error *e) {
        if (r == -ENOENT || r == -ENOTDIR)
                return error_setf(e, CTR_COMMAND_NOT_FOUND, "Log program %s: %s", path,
                                  strerror(-r));
        if (r == -EACCES || r == -ENOEXEC || r == -EISDIR)
                return error_setf(e, CTR_COMMAND_NOT_EXECUTABLE, "Log program %s: %s", path,
                                  strerror(-r));
        return error_setf(e, r, "Failed to run the log program %s: %m", path);
}

static void oom_score_set(pid_t pid, const char *value) {
        char path[sizeof("/proc//oom_score_adj") + 3 * sizeof(pid_t)];
        _cleanup_close_ int fd = -1;

        (void) snprintf(path, sizeof(path), "/proc/%i/oom_score_adj", (int) pid);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, value, strlen(value)) < 0)
                log_debug_errno(errno, "Failed to set the OOM score of a log program: %m");
}

static int logger_run(Logger *l, char **argv, const LoggerParameters *p, const int pipes[static 2],
                      Error *e) {
        int ready[2], fds[6] = {-1, -1, STDERR_FILENO, pipes[0], pipes[1], -1}, r;
        _cleanup_strv_free_ char **env = NULL;

        if (strv_extendf(&env, "CONTAINER_ID=%s", p->id) < 0 ||
            strv_extendf(&env, "CONTAINER_NAMESPACE=%s", p->namespace) < 0)
                return -ENOMEM;
        if (pipe2(ready, O_CLOEXEC) < 0)
                return error_setf(e, -errno, "Failed to make a pipe: %m");
        l->ready_fd = ready[0];
        fds[5] = ready[1];
        r = fd_set_nonblock(l->ready_fd, true);
        if (r >= 0)
                r = process_spawn(argv[0], argv, env, fds, ELEMENTSOF(fds), &l->pid, &l->pidfd);
        fd_close(ready[1]);
        if (r < 0)
                return spawn_error(r, argv[0], e);
        if (!isempty(p->oom_score_adj))
                oom_score_set(l->pid, p->oom_score_adj);
        return 0;
}

static Logger *logger_allocate(Loop *loop, const LoggerParameters *p) {
        Logger *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        l->pidfd = l->ready_fd = l->pipes[0] = l->pipes[1] = -1;
        l->timer = (Timer){.elapse = on_timer, .userdata = l};
        for (size_t i = 0; i < ELEMENTSOF(l->drop); i++)
                l->drop[i] = FLOW_INIT(loop, drop_changed, l);
        l->changed = p->changed;
        l->userdata = p->userdata;
        return l;
}

int logger_spawn(Loop *loop, const LoggerParameters *parameters, int pipes[static 2], Logger **ret,
                 Error *e) {
        _cleanup_(logger_freep) Logger *l = NULL;
        _cleanup_strv_free_ char **argv = NULL;
        int r;

        assert(loop && parameters && parameters->uri && parameters->changed && ret);

        l = logger_allocate(loop, parameters);
        if (!l)
                return -ENOMEM;
        r = uri_parse(parameters->uri, &l->byte_needed, &argv, e);
        if (r == 0)
                r = free_and_strdup(&l->path, argv[0]);
        if (r == 0)
                r = logger_run(l, argv, parameters, pipes, e);
        if (r != 0)
                return r;

        l->pid_source = (Source){.fd = l->pidfd,
                                 .events = POLLIN,
                                 .dispatch = on_exit_of_logger,
                                 .userdata = l};
        l->ready_source = (Source){.fd = l->ready_fd,
                                   .events = POLLIN,
                                   .dispatch = on_ready,
                                   .userdata = l};
        r = loop_add(loop, &l->pid_source);
        if (r >= 0)
                r = loop_add(loop, &l->ready_source);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(l->pipes); i++)
                l->pipes[i] = TAKE_FD(pipes[i]);
        *ret = TAKE_PTR(l);
        return 0;
}

Logger *logger_free(Logger *l) {
        if (!l)
                return NULL;
        source_remove(&l->pid_source);
        timer_remove(&l->timer);
        ready_close(l);
        if (l->pidfd >= 0 && !l->gone) {
                struct pollfd pfd = {.fd = l->pidfd, .events = POLLIN};
                siginfo_t si;

                (void) pidfd_signal(l->pidfd, SIGKILL);
                /* bounded: uninterruptible sleep outlives SIGKILL */
                (void) poll(&pfd, 1, FREE_MSEC);
                (void) waitid(P_PIDFD, (id_t) l->pidfd, &si, WEXITED | WNOHANG);
        }
        for (size_t i = 0; i < ELEMENTSOF(l->pipes); i++) {
                flow_clear(&l->drop[i]);
                fd_close(l->pipes[i]);
        }
        fd_close(l->pidfd);
        free(l->path);
        free(l);
        return NULL;
}

int logger_is_ready(const Logger *l, Error *e) {
        if (l->state == LOGGER_FAILED)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The log program %s ended before it was ready", l->path);
        return l->state == LOGGER_READY;
}

int logger_wait_ready(Logger *l, uint64_t deadline, Error *e) {
        int r;

        while ((r = logger_is_ready(l, e)) == 0) {
                struct pollfd pfd = {.fd = l->ready_fd, .events = POLLIN};
                uint64_t now = now_monotonic();

                if (now >= deadline)
                        return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                          "The log program %s is not ready in time", l->path);
                if (poll(&pfd, 1, (int) ((deadline - now) / USEC_PER_MSEC) + 1) < 0 &&
                    errno != EINTR)
                        return error_setf(e, -errno, "Failed to wait for a log program: %m");
                ready_receive(l);
        }
        return r == 1 ? 0 : r;
}

void logger_end(Logger *l) {
        uint64_t now = now_monotonic();

        if (l->ending)
                return;
        l->ending = true;
        l->late_at = now + LATE_USEC;
        if (!l->gone)
                loop_add_timer(l->drop[0].loop, &l->timer, now + END_USEC);
}

bool logger_is_gone(const Logger *l) {
        return l->gone;
}

pid_t logger_pid(const Logger *l) {
        return l->pid;
}
