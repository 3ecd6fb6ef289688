/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/exec.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/exec-internal.h"
#include "supervisor/foreign.h"
#include "supervisor/supervisor.h"

#define JOURNAL_USEC        (200 * USEC_PER_MSEC)
#define RECORD_RETRY_USEC   (500 * USEC_PER_MSEC)
#define RECORD_ATTEMPTS_MAX 120U

#define B(state) (1U << (state))

static const uint32_t exec_next[_EXEC_STATE_MAX] = {
                [EXEC_ADDED] = B(EXEC_STARTING),
                [EXEC_STARTING] = B(EXEC_RUNNING) | B(EXEC_DRAINING), /* could not be executed */
                [EXEC_RUNNING] = B(EXEC_DRAINING),
                [EXEC_DRAINING] = B(EXEC_RECORDING),
                [EXEC_RECORDING] = B(EXEC_ENDED),
                [EXEC_ENDED] = 0,
};

const char *exec_state_to_string(ExecState state) {
        static const char *const names[_EXEC_STATE_MAX] = {
                        [EXEC_ADDED] = "created",     [EXEC_STARTING] = "being started",
                        [EXEC_RUNNING] = "running",   [EXEC_DRAINING] = "stopped",
                        [EXEC_RECORDING] = "stopped", [EXEC_ENDED] = "stopped",
        };

        return names[state];
}

void exec_set_state(Exec *x, ExecState state) {
        assert(exec_next[x->state] & B(state));

        x->state = state;
        timer_remove(&x->timer);
}

Exec *exec_find(Supervisor *s, const char *id) {
        for (Exec *x = s->execs; x; x = x->next)
                if (streq(x->id, id))
                        return x;
        return NULL;
}

bool exec_is_alive(const Exec *x) {
        return x->state == EXEC_STARTING || x->state == EXEC_RUNNING;
}

bool execs_are_settled(const Supervisor *s) {
        for (const Exec *x = s->execs; x; x = x->next)
                if (x->state != EXEC_ADDED && x->state != EXEC_ENDED)
                        return false;
        return true;
}

bool execs_are_reaped(const Supervisor *s) {
        for (const Exec *x = s->execs; x; x = x->next)
                if (exec_is_alive(x))
                        return false;
        return true;
}

void exec_unwatch(Exec *x) {
        source_remove(&x->source);
        x->starting = container_exec_free(x->starting);
        foreign_exec_end(x);
}

static Exec *exec_free(Exec *x) {
        if (!x)
                return NULL;
        exec_unwatch(x);
        timer_remove(&x->timer);
        reply_send(&x->reply, CTR_FAILED_PRECONDITION, NULL, 0);
        process_clear(&x->process);
        fd_close(x->pidfd);
        free(x->id);
        free(x);
        return NULL;
}
DEFINE_CLEANUP(Exec *, exec_free);

int exec_watch(Exec *x, int fd, void (*dispatch)(void *userdata, short revents)) {
        x->source = (Source){.fd = fd, .events = POLLIN, .dispatch = dispatch, .userdata = x};
        return loop_add(&x->supervisor->loop, &x->source);
}

/* The end of an exec, as it is told */

static void push_exited(Exec *x) {
        SupervisorMessage m = {
                        .type = SUPERVISOR_EXEC_EXITED,
                        .number = x->process.record.exit_status,
                        .pid = x->process.record.pid,
                        .usec = x->process.record.exited_at,
        };

        (void) snprintf(m.text, sizeof(m.text), "%s", x->id);
        connection_broadcast(&x->supervisor->connections, &m);
}

static void write_record(Exec *x) {
        Supervisor *s = x->supervisor;
        int r;

        r = exec_record_write(s->task_dir_fd, x->id, &x->process.record);
        if (r < 0 && ++x->record_attempts < RECORD_ATTEMPTS_MAX) {
                if (x->record_attempts == 1)
                        log_error_errno(r,
                                        "Failed to write the exit record of %s, trying again: %m",
                                        x->id);
                loop_add_timer(&s->loop, &x->timer, now_monotonic() + RECORD_RETRY_USEC);
                return;
        }
        if (r < 0)
                log_error_errno(r, "Failed to write the exit record of %s, status %i is lost: %m",
                                x->id, x->process.record.exit_status);
        exec_set_state(x, EXEC_ENDED);
        push_exited(x);
        supervisor_check_execs(s);
}

static void on_drained(void *userdata) {
        Exec *x = userdata;

        exec_set_state(x, EXEC_RECORDING);
        write_record(x);
}

void exec_ended(Exec *x, int status) {
        exec_unwatch(x);
        x->pidfd = fd_close(x->pidfd);
        x->process.record.exit_status = status;
        x->process.record.exited_at = now_realtime();
        exec_set_state(x, EXEC_DRAINING);
        process_drain(&x->process);
}

static void exec_reap(Exec *x) {
        int status = EXIT_STATUS_UNKNOWN, r;

        r = pidfd_wait(x->pidfd, &status);
        if (r < 0)
                log_error_errno(r, "Failed to learn how exec %s ended: %m", x->id);
        supervisor_check_oom(x->supervisor);
        exec_ended(x, status);
}

void exec_on_exit(void *userdata, short revents) {
        Exec *x = userdata;
        Supervisor *s = x->supervisor;

        exec_reap(x);
        supervisor_check_empty(s);
}

static void on_timer(void *userdata) {
        Exec *x = userdata;

        if (x->state == EXEC_RECORDING)
                write_record(x);
        else
                exec_on_start_timer(x);
}

/* The list of them */

/* The descriptors are for the streams of STDIO_FD, in ascending order. */
static int assign_handed(const ExecLaunch *launch, int fds[static SUPERVISOR_MESSAGE_FDS_MAX],
                         int handed[static 3], Error *e) {
        size_t n = 0;

        for (size_t i = 0; i < 3; i++)
                if (launch->stdio[i] == STDIO_FD) {
                        handed[i] = TAKE_FD(fds[n]);
                        n++;
                }
        return fds[n] < 0 ? 0
                          : error_setf(e, CTR_INVALID_ARGUMENT,
                                       "More descriptors came than the exec has streams for");
}

static int exec_open(Exec *x, int fds[static SUPERVISOR_MESSAGE_FDS_MAX], Error *e) {
        int handed[3] = {-1, -1, -1};
        _cleanup_(exec_launch_clear) ExecLaunch launch = {};
        _cleanup_json_ json_t *j = NULL;
        char name[TASK_EXEC_FILE_SIZE];
        Supervisor *s = x->supervisor;
        StreamsParameters parameters;
        int r;

        r = json_read_file_at(s->task_dir_fd, exec_file_name(TASK_FILE_EXEC_PREFIX, x->id, name),
                              TASK_CONFIG_MAX, &j, e);
        if (r == 0)
                r = exec_launch_from_json(j, &launch, e);
        if (r != 0)
                return r;
        parameters = (StreamsParameters){
                        .kinds = launch.stdio,
                        .paths = launch.stdio_path,
                        .terminal = launch.terminal,
                        .log_identifier = supervisor_log_identifier(s),
                        .unit = s->launch.unit,
                        .journal_usec = JOURNAL_USEC,
        };
        r = assign_handed(&launch, fds, handed, e);
        if (r == 0)
                r = process_open(&x->process, &parameters, handed, e);
        for (size_t i = 0; i < ELEMENTSOF(handed); i++)
                fd_close(handed[i]);
        if (r != 0)
                return r;
        return process_spawn_loggers(&x->process, &s->launch, launch.stdio, launch.stdio_path,
                                     s->oom_score_adj, e);
}

int exec_add(Supervisor *s, const char *id, int fds[static SUPERVISOR_MESSAGE_FDS_MAX], Error *e) {
        _cleanup_(exec_freep) Exec *x = NULL;
        int r;

        if (exec_find(s, id))
                return error_setf(e, CTR_ALREADY_EXISTS, "Exec %s already exists", id);
        if (s->n_execs >= SUPERVISOR_EXECS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The task has %u execs, some of them have to be deleted first",
                                  SUPERVISOR_EXECS_MAX);
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->supervisor = s;
        x->pidfd = -1;
        x->timer = (Timer){.elapse = on_timer, .userdata = x};
        process_init(&x->process, &s->loop, exec_on_loggers, on_drained, x);
        r = free_and_strdup(&x->id, id);
        if (r == 0)
                r = exec_open(x, fds, e);
        if (r != 0)
                return r;

        x->next = s->execs;
        s->execs = TAKE_PTR(x);
        s->n_execs++;
        return 0;
}

bool execs_own(Supervisor *s, pid_t pid) {
        for (Exec *x = s->execs; x; x = x->next)
                if (process_owns(&x->process, pid) ||
                    (x->starting && container_exec_owns(x->starting, pid)) ||
                    (x->state == EXEC_RUNNING && x->process.record.pid == pid))
                        return true;
        return false;
}

void exec_delete(Exec *x) {
        static const char *const prefixes[] = {TASK_FILE_EXEC_PREFIX, TASK_FILE_EXEC_EXIT_PREFIX};
        Supervisor *s = x->supervisor;

        assert(x->state == EXEC_ADDED || x->state == EXEC_ENDED);

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++) {
                char name[TASK_EXEC_FILE_SIZE];

                if (unlinkat(s->task_dir_fd, exec_file_name(prefixes[i], x->id, name), 0) < 0 &&
                    errno != ENOENT)
                        log_warning_errno(errno, "Failed to remove %s: %m", name);
        }
        for (Exec **p = &s->execs; *p; p = &(*p)->next)
                if (*p == x) {
                        *p = x->next;
                        s->n_execs--;
                        break;
                }
        (void) exec_free(x);
}

void execs_clear(Supervisor *s) {
        while (s->execs) {
                Exec *x = s->execs;

                s->execs = x->next;
                (void) exec_free(x);
        }
        s->n_execs = 0;
}
