/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of a task that exists. Each operation checks the state, asks the supervisor, and
 * answers from its reply or from the task's end. */

#include "basic/log.h"
#include "basic/signals.h"
#include "manager/task-internal.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

#define REQUEST_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define SIGKILL_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define START_TIMEOUT_USEC   (40 * USEC_PER_SEC)
/* after SIGKILL: draining output takes the supervisor at most 10 s */
#define KILL_TIMEOUT_USEC (15 * USEC_PER_SEC)

/* A request on its way to the supervisor and who waits for it. */
typedef struct Operation {
        Task *task;
        Callback callback;
        void *userdata;
} Operation;

static int operation_request(Task *t, SupervisorMessage *m, uint64_t timeout, SupervisorReply reply,
                             Callback callback, void *userdata, Error *e) {
        _cleanup_free_ Operation *o = NULL;
        int r;

        if (!t->supervisor)
                return error_setf(e, CTR_UNAVAILABLE, "The supervisor of \"%s\" is gone",
                                  t->process.object.name);
        o = malloc(sizeof(Operation));
        if (!o)
                return -ENOMEM;
        *o = (Operation){.task = t, .callback = callback, .userdata = userdata};
        r = supervisor_request(t->supervisor, m, timeout, reply, o);
        if (r == -EPIPE || r == -EAGAIN)
                return error_setf(e, CTR_UNAVAILABLE, "The supervisor of \"%s\" does not listen",
                                  t->process.object.name);
        if (r < 0)
                return error_setf(e, r, "Failed to ask the supervisor of \"%s\": %m",
                                  t->process.object.name);
        TAKE_PTR(o);
        return 0;
}

static void on_reply(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        _cleanup_free_ Operation *o = userdata;

        o->callback(&o->task->process.object, r, e, o->userdata);
}

static int wrong_state(const Task *t, const char *verb, Error *e) {
        return error_setf(e, CTR_FAILED_PRECONDITION, "Cannot %s the task \"%s\": it is %s", verb,
                          t->process.object.name, task_status_to_string(t->process.status));
}

static int already_exited(const Task *t, Error *e) {
        return error_setf(e, CTR_NOT_FOUND, "The process of \"%s\" has already finished",
                          t->process.object.name);
}

static void on_started(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        _cleanup_free_ Operation *o = userdata;
        Task *t = o->task;

        if (r == 0 && t->process.status == TASK_CREATED)
                task_set_status(t, TASK_RUNNING);
        o->callback(&t->process.object, r, e, o->userdata);
}

int task_start(Task *t, Callback callback, void *userdata, Error *e) {
        int r;

        if (t->process.status != TASK_CREATED)
                return wrong_state(t, "start", e);
        if (t->process.starting)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task \"%s\" was started already",
                                  t->process.object.name);
        r = operation_request(t, &(SupervisorMessage){.type = SUPERVISOR_START}, START_TIMEOUT_USEC,
                              on_started, callback, userdata, e);
        if (r == 0)
                t->process.starting = true;
        return r;
}

int task_wait(Task *t, Callback callback, void *userdata, Error *e) {
        int r;

        r = waiter_add(&t->process.exit_waiters, callback, userdata);
        if (r < 0)
                return r;
        return t->process.status == TASK_STOPPED ? task_schedule(t) : 0;
}

/* SIGKILL is for what does not answer, and a supervisor may be that too: stopped, or frozen with
 * its scope. */
static void on_kill_reply(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        Task *t = ((Operation *) userdata)->task;

        if (r == CTR_DEADLINE_EXCEEDED) {
                log_warning("%s; killing its whole scope", error_text(e));
                scope_kill(t->process.object.manager->systemd, t->unit);
                r = 0;
        }
        on_reply(r, e, reply, userdata);
}

int task_kill(Task *t, int signo, bool all, Callback callback, void *userdata, Error *e) {
        bool sigkill = signo == SIGKILL;

        if (!signal_is_valid(signo))
                return error_setf(e, CTR_INVALID_ARGUMENT, "Invalid signal %i", signo);
        if (t->process.status == TASK_STOPPED)
                return already_exited(t, e);
        return operation_request(t,
                                 &(SupervisorMessage){.type = SUPERVISOR_SIGNAL,
                                                      .number = signo,
                                                      .flags = all ? SUPERVISOR_SIGNAL_ALL : 0},
                                 sigkill ? SIGKILL_TIMEOUT_USEC : REQUEST_TIMEOUT_USEC,
                                 sigkill ? on_kill_reply : on_reply, callback, userdata, e);
}

int task_resize(Task *t, unsigned width, unsigned height, Callback callback, void *userdata,
                Error *e) {
        if (t->process.status == TASK_STOPPED)
                return wrong_state(t, "resize the terminal of", e);
        /* the kernel's struct winsize has 16 bits for each (D25) */
        return operation_request(t,
                                 &(SupervisorMessage){.type = SUPERVISOR_RESIZE,
                                                      .number = (int) MIN_OF(width, 0xffffU),
                                                      .number2 = (int) MIN_OF(height, 0xffffU)},
                                 REQUEST_TIMEOUT_USEC, on_reply, callback, userdata, e);
}

int task_close_stdin(Task *t, Callback callback, void *userdata, Error *e) {
        if (t->process.status == TASK_STOPPED)
                return already_exited(t, e);
        return operation_request(t, &(SupervisorMessage){.type = SUPERVISOR_CLOSE_STDIN},
                                 REQUEST_TIMEOUT_USEC, on_reply, callback, userdata, e);
}

/* A stop: waits for the exit, for at most its time. It is in the task's list of exit waiters and
 * leaves it when the time is up. */
typedef struct Stop {
        Task *task;
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

static void on_stop_sent(Object *o, int r, const Error *e, void *userdata) {
        if (r != 0)
                log_debug("Task %s could not be signalled: %s", o->name, error_text(e));
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Stop *s = userdata;
        Task *t = s->task;

        if (s->force && !s->killed) {
                s->killed = true;
                (void) task_kill(t, SIGKILL, true, on_stop_sent, NULL, NULL);
                if (sd_event_source_set_time_relative(source, KILL_TIMEOUT_USEC) >= 0 &&
                    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
                        return 0;
        }
        (void) waiter_remove(&t->process.exit_waiters, on_stopped, s);
        error_setf(&e, s->force ? CTR_DEADLINE_EXCEEDED : CTR_TIMEOUT,
                   s->force ? "The task \"%s\" does not end, not even by SIGKILL"
                            : "The task \"%s\" did not stop in time and goes on running",
                   t->process.object.name);
        s->callback(&t->process.object, e.code, &e, s->userdata);
        stop_free(s);
        return 0;
}

int task_stop(Task *t, int signo, uint64_t timeout_usec, bool force, Callback callback,
              void *userdata, Error *e) {
        Stop *s;
        int r = 0;

        if (signo == 0)
                signo = t->container->stop_signal;
        if (!signal_is_valid(signo))
                return error_setf(e, CTR_INVALID_ARGUMENT, "Invalid signal %i", signo);
        if (t->process.status == TASK_STOPPED)
                return already_exited(t, e);
        s = malloc(sizeof(Stop));
        if (!s)
                return -ENOMEM;
        *s = (Stop){.task = t, .force = force, .callback = callback, .userdata = userdata};
        if (timeout_usec <= INT64_MAX) /* more is no limit at all */
                r = sd_event_add_time_relative(t->process.object.manager->event, &s->timer,
                                               CLOCK_MONOTONIC, timeout_usec, 0, on_stop_timeout,
                                               s);
        /* with force the supervisor keeps the time too, in case that we do not live to do it */
        if (r >= 0)
                r = operation_request(t,
                                      &(SupervisorMessage){.type = force ? SUPERVISOR_STOP
                                                                         : SUPERVISOR_SIGNAL,
                                                           .number = signo,
                                                           .usec = timeout_usec},
                                      REQUEST_TIMEOUT_USEC, on_reply, on_stop_sent, NULL, e);
        if (r == 0)
                r = waiter_add(&t->process.exit_waiters, on_stopped, s);
        if (r != 0)
                stop_free(s);
        return r;
}

/* The task is STOPPED and its supervisor gone: take it away. */
static void task_remove(Task *t) {
        Manager *m = t->process.object.manager;
        int r;

        waiters_complete(&t->process.exit_waiters, &t->process.object, 0, NULL);
        log_fields_remove(t->unit);
        r = task_dir_remove(m, t->process.object.namespace, t->process.object.name);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the directory of task %s: %m",
                                  t->process.object.name);
        waiters_complete(&t->process.delete_waiters, &t->process.object, 0, NULL);
        task_free(t);
}

void task_continue_delete(Task *t) {
        if (t->process.status == TASK_STOPPED && !t->supervisor)
                task_remove(t);
}

/* The supervisor did not end by itself: end it. Its record may be there already. What not even
 * SIGKILL ends hangs in the kernel: the caller is told, and the task stays. */
static int on_delete_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;

        if (!t->delete_killed) {
                log_warning("The supervisor of task %s does not end, killing it",
                            t->process.object.name);
                t->delete_killed = true;
                if (t->supervisor)
                        supervisor_kill(t->supervisor);
                scope_kill(t->process.object.manager->systemd, t->unit);
                if (sd_event_source_set_time_relative(source, KILL_TIMEOUT_USEC) >= 0 &&
                    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
                        return 0;
        }
        error_setf(&e, CTR_DEADLINE_EXCEEDED,
                   "The supervisor of the task \"%s\" does not end, not even by SIGKILL",
                   t->process.object.name);
        t->deleting = t->delete_killed = false;
        t->delete_source = sd_event_source_disable_unref(t->delete_source);
        waiters_complete(&t->process.delete_waiters, &t->process.object, e.code, &e);
        return 0;
}

static int task_begin_delete(Task *t, Error *e) {
        int r;

        r = sd_event_add_time_relative(t->process.object.manager->event, &t->delete_source,
                                       CLOCK_MONOTONIC, KILL_TIMEOUT_USEC, 0, on_delete_timeout, t);
        if (r < 0)
                return r;
        if (t->process.status == TASK_STOPPED)
                return task_schedule(t);
        r = task_kill(t, SIGKILL, true, on_stop_sent, NULL, e);
        if (r == CTR_UNAVAILABLE && t->supervisor) {
                error_clear(e);
                supervisor_kill(t->supervisor);
                r = 0;
        }
        return r;
}

int task_delete(Task *t, bool force, Callback callback, void *userdata, Error *e) {
        int r;

        if (t->launch && !force)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The task \"%s\" is still being created", t->process.object.name);
        if (t->process.status != TASK_STOPPED && t->process.status != TASK_CREATED && !force)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The task \"%s\" must be stopped before it is deleted: it is %s",
                                  t->process.object.name, task_status_to_string(t->process.status));
        if (t->deleting)
                return error_setf(e, CTR_NOT_FOUND, "The task \"%s\" is being deleted already",
                                  t->process.object.name);
        if (t->launch) {
                r = waiter_add(&t->process.delete_waiters, callback, userdata);
                if (r < 0)
                        return r;
                t->deleting = true;
                launch_cancel(t);
                return 0;
        }
        r = task_begin_delete(t, e);
        if (r == 0)
                r = waiter_add(&t->process.delete_waiters, callback, userdata);
        if (r != 0) {
                t->delete_source = sd_event_source_disable_unref(t->delete_source);
                return r;
        }
        t->deleting = true;
        return 0;
}
