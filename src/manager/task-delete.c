/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The end of a task, asked for: what runs is killed, and when the supervisor is gone the task, its
 * execs and its directory are taken away.
 */

#include "basic/log.h"
#include "manager/checkpoint-restore.h"
#include "manager/event.h"
#include "manager/exec-internal.h"
#include "manager/manager.h"
#include "manager/monitor.h"
#include "manager/restart.h"
#include "manager/task-internal.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

/* Silently: they have stopped, and go with the task (D15). */
static void remove_execs(Task *t) {
        Exec *next;

        for (Exec *x = t->execs; x; x = next) {
                next = x->task_next;
                exec_remove(x);
        }
}

/* The task is STOPPED and its supervisor gone: take it away. */
static void task_remove(Task *t) {
        Process *p = &t->process;
        Manager *m = p->object.manager;
        int r;

        waiters_complete(&p->exit_waiters, &p->object, 0, NULL);
        monitor_detach(t);
        remove_execs(t);
        event_task_deleted(t);
        checkpoint_restored(t);
        log_fields_remove(t->unit);
        r = task_dir_remove(m, p->object.namespace, p->object.name);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the directory of task %s: %m",
                                  p->object.name);
        else
                event_forget(p);
        waiters_complete(&p->delete_waiters, &p->object, 0, NULL);
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
                if (sd_event_source_set_time_relative(source, PROCESS_KILL_USEC) >= 0 &&
                    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
                        return 0;
        }
        error_setf(&e, CTR_DEADLINE_EXCEEDED,
                   "The supervisor of the task \"%s\" does not end, not even by SIGKILL",
                   t->process.object.name);
        t->process.deleting = t->delete_killed = false;
        t->delete_source = sd_event_source_disable_unref(t->delete_source);
        waiters_complete(&t->process.delete_waiters, &t->process.object, e.code, &e);
        return 0;
}

static int task_begin_delete(Task *t, Error *e) {
        int r;

        r = sd_event_add_time_relative(t->process.object.manager->event, &t->delete_source,
                                       CLOCK_MONOTONIC, PROCESS_KILL_USEC, 0, on_delete_timeout, t);
        if (r < 0)
                return r;
        if (t->process.status == TASK_STOPPED)
                return process_schedule(&t->process);
        r = process_kill(&t->process, SIGKILL, PROCESS_KILL_ALL, process_ignore, NULL, e);
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
        /* its program may run already */
        if (t->process.starting && !force)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task \"%s\" is being started",
                                  t->process.object.name);
        if (t->process.deleting)
                return error_setf(e, CTR_NOT_FOUND, "The task \"%s\" is being deleted already",
                                  t->process.object.name);
        restart_user_stops(t->container);
        if (t->launch) {
                r = waiter_add(&t->process.delete_waiters, callback, userdata);
                if (r < 0)
                        return r;
                t->process.deleting = true;
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
        t->process.deleting = true;
        return 0;
}

static void abandon(Process *p) {
        waiters_complete(&p->exit_waiters, &p->object, -ESHUTDOWN, NULL);
        waiters_complete(&p->delete_waiters, &p->object, -ESHUTDOWN, NULL);
}

void task_abandon(Task *t) {
        if (t->launch)
                launch_abandon(t);
        for (Exec *x = t->execs; x; x = x->task_next)
                abandon(&x->process);
        abandon(&t->process);
        task_free(t);
}
