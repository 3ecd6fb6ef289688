/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of a task as a whole: to stop, to pause, to go on, and what it consists of. */

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/signals.h"
#include "manager/exec-internal.h"
#include "manager/restart.h"
#include "manager/task-cgroup.h"
#include "manager/task-internal.h"

/* the supervisor gives up earlier */
#define FREEZE_TIMEOUT_USEC (40 * USEC_PER_SEC)

static void on_resumed(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        Process *p = o->process;

        if (r == 0 && p->status == TASK_PAUSED)
                process_set_status(p, TASK_RUNNING);
        o->callback(&p->object, r, e, o->userdata);
}

int task_thaw(Task *t, Callback callback, void *userdata, Error *e) {
        return process_request(&t->process, &(SupervisorMessage){.type = SUPERVISOR_RESUME}, NULL,
                               0, FREEZE_TIMEOUT_USEC,
                               &(Operation){.reply = on_resumed,
                                            .callback = callback,
                                            .userdata = userdata},
                               e);
}

int task_resume(Task *t, Callback callback, void *userdata, Error *e) {
        if (t->process.status == TASK_CREATED)
                return process_wrong_state(&t->process, "cannot resume task in ", " state", e);
        if (t->process.status != TASK_PAUSED)
                return process_wrong_state(&t->process, "cannot resume a ", " process", e);
        /* memory and files are being read, and must not change meanwhile */
        if (t->dump)
                return process_wrong_state(&t->process, "cannot resume a ",
                                           " task while a checkpoint of it is being made", e);
        if (t->committing)
                return process_wrong_state(&t->process, "cannot resume a ",
                                           " task while its files are being committed", e);
        return task_thaw(t, callback, userdata, e);
}

static void on_paused(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        _cleanup_error_ Error ended = ERROR_NULL;
        Process *p = o->process;

        if (r == 0 && p->status != TASK_PAUSING) {
                /* it exited, or was stopped, meanwhile */
                r = process_wrong_state(p, "cannot pause a ", " container", &ended);
                e = &ended;
        } else if (r == 0)
                process_set_status(p, TASK_PAUSED);
        else if (p->status == TASK_PAUSING)
                process_set_status(p, TASK_RUNNING);
        /* nobody knows whether a supervisor that did not answer is still about to freeze it */
        if (r == CTR_DEADLINE_EXCEEDED && !reply)
                (void) task_thaw(process_task(p), process_ignore, NULL, NULL);
        o->callback(&p->object, r, e, o->userdata);
}

int task_pause(Task *t, Callback callback, void *userdata, Error *e) {
        Process *p = &t->process;
        int r;

        if (p->status == TASK_CREATED)
                return process_wrong_state(p, "cannot pause task in ", " state", e);
        if (p->status != TASK_RUNNING)
                return process_wrong_state(p, "cannot pause a ", " container", e);
        r = process_request(p, &(SupervisorMessage){.type = SUPERVISOR_PAUSE}, NULL, 0,
                            FREEZE_TIMEOUT_USEC,
                            &(Operation){.reply = on_paused,
                                         .callback = callback,
                                         .userdata = userdata},
                            e);
        if (r == 0) {
                process_set_status(p, TASK_PAUSING);
                object_tell_change(&p->object); /* D3 */
        }
        return r;
}

/* A stop: waits for the exit, for at most its time. It is in the task's list of exit waiters and
 * leaves it when the time is up. */
typedef struct Stop {
        Task *task;
        uint64_t timeout_usec;
        bool force, killed;
        Callback callback;
        void *userdata;
        sd_event_source *timer;
} Stop;

static void stop_free(Stop *s) {
        sd_event_source_disable_unref(s->timer);
        free(s);
}

static void on_stopped(Object *o, int r, const Error *e, void *userdata) {
        Stop *s = userdata;

        s->callback(o, r, e, s->userdata);
        stop_free(s);
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Stop *s = userdata;
        Task *t = s->task;

        if (s->force && !s->killed) {
                s->killed = true;
                (void) process_kill(&t->process, SIGKILL, PROCESS_KILL_ALL, process_ignore, NULL,
                                    NULL);
                if (sd_event_source_set_time_relative(source, PROCESS_KILL_USEC) >= 0 &&
                    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
                        return 0;
        }
        (void) waiter_remove(&t->process.exit_waiters, on_stopped, s);
        if (s->force)
                error_setf(&e, CTR_DEADLINE_EXCEEDED,
                           "The task \"%s\" does not end, not even by SIGKILL",
                           t->process.object.name);
        else
                error_setf(&e, CTR_TIMEOUT,
                           "The task \"%s\" did not stop within %g s and goes on running",
                           t->process.object.name, (double) s->timeout_usec / USEC_PER_SEC);
        s->callback(&t->process.object, e.code, &e, s->userdata);
        stop_free(s);
        return 0;
}

/* With force the supervisor keeps the time too, in case that we do not live to do it. */
static int stop_send(Task *t, int signo, uint64_t timeout_usec, bool force, Error *e) {
        Process *p = &t->process;
        SupervisorMessage m = {
                        .type = force ? SUPERVISOR_STOP : SUPERVISOR_SIGNAL,
                        .number = signo,
                        .usec = timeout_usec,
        };

        /* a frozen program handles no signal; that it runs again is no error, either (D4) */
        if (p->status == TASK_PAUSED || p->status == TASK_PAUSING)
                (void) task_thaw(t, process_ignore, NULL, NULL);
        return process_request(p, &m, NULL, 0, PROCESS_REQUEST_USEC,
                               &(Operation){.callback = process_ignore}, e);
}

int task_stop(Task *t, int signo, uint64_t timeout_usec, bool force, Callback callback,
              void *userdata, Error *e) {
        Stop *s;
        int r = 0;

        if (signo == 0)
                signo = t->container->stop_signal;
        if (!signal_is_valid(signo))
                return error_setf(e, CTR_INVALID_ARGUMENT, "Invalid signal %i", signo);
        /* also of one that waits for its next run */
        restart_user_stops(t->container);
        if (t->process.status == TASK_STOPPED)
                return process_already_exited(&t->process, e);
        s = malloc(sizeof(Stop));
        if (!s)
                return -ENOMEM;
        *s = (Stop){.task = t,
                    .timeout_usec = timeout_usec,
                    .force = force,
                    .callback = callback,
                    .userdata = userdata};
        if (timeout_usec <= INT64_MAX) /* more is no limit at all */
                r = sd_event_add_time_relative(t->process.object.manager->event, &s->timer,
                                               CLOCK_MONOTONIC, timeout_usec, 0, on_stop_timeout,
                                               s);
        if (r >= 0)
                r = stop_send(t, signo, timeout_usec, force, e);
        /* it has just ended by itself, which we are about to hear */
        if (r == CTR_UNAVAILABLE && t->supervisor && supervisor_is_hung_up(t->supervisor)) {
                error_clear(e);
                r = 0;
        }
        if (r == 0)
                r = waiter_add(&t->process.exit_waiters, on_stopped, s);
        if (r != 0)
                stop_free(s);
        return r;
}

static const char *exec_of_pid(const Task *t, pid_t pid) {
        for (const Exec *x = t->execs; x; x = x->task_next)
                if (x->process.pid == pid)
                        return x->id;
        return "";
}

int task_pids(Task *t, TaskPid **ret, size_t *ret_n, Error *e) {
        _cleanup_free_ pid_t *pids = NULL;
        _cleanup_close_ int fd = -1;
        TaskPid *list;
        size_t n = 0;
        int r;

        if (t->process.status != TASK_STOPPED) {
                r = task_cgroup_open(t, &fd, e);
                if (r != 0)
                        return r;
                r = cgroup_read_pids(fd, &pids, &n);
                if (r < 0)
                        return error_setf(e, r, "Failed to read the pids of \"%s\": %m",
                                          t->process.object.name);
        }
        list = calloc(n + 1, sizeof(TaskPid));
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                list[i] = (TaskPid){.pid = pids[i], .exec_id = exec_of_pid(t, pids[i])};
        *ret = list;
        *ret_n = n;
        return 0;
}

int task_read_spec(Task *t, char **ret, Error *e) {
        int r;

        r = file_read_at(t->dir_fd, TASK_FILE_CONFIG, TASK_CONFIG_MAX, ret, NULL);
        return r < 0 ? error_setf(e, r, "Failed to read the document of task %s: %m",
                                  t->process.object.name)
                     : 0;
}
