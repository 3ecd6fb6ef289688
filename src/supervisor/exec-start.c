/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way from ADDED to a running program: log programs first, then runtime/exec.h. Invariant:
 * whoever asked for the start is answered once, and before the end of the exec is told.
 */

#include "basic/clock.h"
#include "basic/process.h"
#include "config.h"
#include "supervisor/exec-internal.h"
#include "supervisor/foreign.h"
#include "supervisor/supervisor.h"

#define START_USEC (30 * USEC_PER_SEC)

static int status_of_failure(int r) {
        if (r == CTR_COMMAND_NOT_FOUND)
                return 127;
        return r == CTR_COMMAND_NOT_EXECUTABLE ? 126 : 125;
}

/* Tells r and e to whoever asked for the start, and then of the end. */
static void exec_failed(Exec *x, int r, Error *e) {
        if (e->code == 0)
                (void) error_setf(e, r, "Failed to start the exec: %s",
                                  r < 0 ? strerror(-r) : error_code_to_string(r));
        /* without memory for the text the code still tells */
        (void) free_and_strdup(&x->process.record.error, error_text(e));
        reply_send(&x->reply, r, e, 0);
        exec_ended(x, status_of_failure(r));
        supervisor_check_empty(x->supervisor);
}

static int exec_take_news(Exec *x, ContainerExecNews *news, Error *e) {
        int r;

        if (news->terminal_fd >= 0) {
                r = process_set_up(&x->process, TAKE_FD(news->terminal_fd), e);
                if (r != 0)
                        return r;
        }
        if (!news->executed)
                return 0;
        exec_unwatch(x);
        x->pidfd = TAKE_FD(news->pidfd);
        x->process.record.pid = news->pid;
        r = exec_watch(x, x->pidfd, exec_on_exit);
        if (r < 0)
                return r;
        exec_set_state(x, EXEC_RUNNING);
        reply_send(&x->reply, 0, NULL, news->pid);
        return 0;
}

/* Its program runs and is told of in vain: it must not go on unwatched. */
static void exec_kill(Exec *x) {
        if (x->pidfd >= 0)
                pidfd_forsake(x->pidfd);
}

static void on_news(void *userdata, short revents) {
        ContainerExecNews news = {.terminal_fd = -1, .pidfd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        Exec *x = userdata;
        int r;

        r = x->run ? foreign_exec_receive(x, &news, &e)
                   : container_exec_receive(x->starting, &news, &e);
        if (r == 0)
                r = exec_take_news(x, &news, &e);
        /* another runtime's process, which nobody has taken */
        if (r != 0 && news.pidfd >= 0)
                pidfd_forsake(news.pidfd);
        fd_close(news.terminal_fd);
        fd_close(news.pidfd);
        if (r == -ECHILD) {
                /* killed with its task, most likely; by nothing of its own */
                _cleanup_free_ char *text = strdup(error_text(&e));

                error_clear(&e);
                r = error_setf(&e, CTR_FAILED_PRECONDITION, "%s",
                               text ?: "The process died before it could execute the program");
        }
        if (r != 0) {
                exec_kill(x);
                exec_failed(x, r, &e);
        }
        /* children that nobody knew while the runtime ran */
        if (x->supervisor->foreign)
                supervisor_check_empty(x->supervisor);
}

static int exec_run_foreign(Exec *x, Error *e) {
        int r;

        r = foreign_exec_begin(x, e);
        if (r != 0)
                return r;
        if (!x->process.terminal)
                process_close_program_ends(&x->process);
        r = exec_watch(x, foreign_run_fd(x->run), on_news);
        return r < 0 ? error_setf(e, r, "Failed to watch the runtime: %m") : 0;
}

static int exec_clone(Exec *x, Error *e) {
        char name[TASK_EXEC_FILE_SIZE];
        Supervisor *s = x->supervisor;
        ExecParameters parameters = {
                        .init_pidfd = s->container ? container_pidfd(s->container) : -1,
                        .init_pid = s->init.record.pid,
                        .cgroup_fd = payload_fd(s->payload),
                        .config_dir_fd = s->task_dir_fd,
                        .config_name = TASK_FILE_CONFIG,
                        .document_name = exec_file_name(TASK_FILE_EXEC_PREFIX, x->id, name),
                        .id = s->launch.id,
                        .bundle = s->task_dir,
                        .seccomp_cache = CTR_RUNTIME_DIR "/seccomp",
        };
        int r;

        if (!s->container)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task is not restored yet");
        memcpy(parameters.stdio, x->process.streams.fd, sizeof(parameters.stdio));
        r = container_exec_clone(&parameters, &x->starting, e);
        if (r != 0)
                return r;
        if (!x->process.terminal)
                process_close_program_ends(&x->process);
        r = exec_watch(x, container_exec_fd(x->starting), on_news);
        return r < 0 ? error_setf(e, r, "Failed to watch the exec: %m") : 0;
}

/* Goes on as soon as the log programs are ready. */
static int exec_advance(Exec *x, Error *e) {
        int r;

        if (x->starting || x->run)
                return 0;
        r = process_loggers_ready(&x->process, e);
        if (r != 1)
                return r;
        return x->supervisor->foreign ? exec_run_foreign(x, e) : exec_clone(x, e);
}

void exec_on_loggers(void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Exec *x = userdata;
        int r;

        if (x->state == EXEC_STARTING) {
                r = exec_advance(x, &e);
                if (r != 0)
                        exec_failed(x, r, &e);
        }
        supervisor_on_loggers(x->supervisor);
}

void exec_on_start_timer(Exec *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (x->supervisor->freeze != FREEZE_NONE) {
                /* it is frozen, too: that is not its fault */
                loop_add_timer(&x->supervisor->loop, &x->timer, now_monotonic() + START_USEC);
                return;
        }
        /* with a deadline that is over it only says which log program it was */
        r = x->starting || x->run ? 0 : process_wait_loggers(&x->process, 0, &e);
        if (r == 0)
                r = error_setf(&e, CTR_DEADLINE_EXCEEDED, "The exec was not started in time");
        exec_failed(x, r, &e);
}

void exec_start(Exec *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        exec_set_state(x, EXEC_STARTING);
        x->process.record.started = true;
        loop_add_timer(&x->supervisor->loop, &x->timer, now_monotonic() + START_USEC);
        r = exec_advance(x, &e);
        if (r != 0)
                exec_failed(x, r, &e);
}

void execs_abort(Supervisor *s) {
        for (Exec *x = s->execs; x; x = x->next) {
                _cleanup_error_ Error e = ERROR_NULL;

                if (x->state != EXEC_STARTING)
                        continue;
                exec_failed(x, error_setf(&e, CTR_FAILED_PRECONDITION, "The task is being stopped"),
                            &e);
        }
}
