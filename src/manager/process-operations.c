/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is asked of a process, be it init or an exec. Each operation checks the state, asks the
 * supervisor, and answers from its reply.
 *
 * Invariant: an Operation is in its process's list from the request to the reply, and its callback
 * is called once, by the reply or by process_drop_operations().
 */

#include "basic/log.h"
#include "basic/signals.h"
#include "manager/checkpoint-restore.h"
#include "manager/exec-internal.h"
#include "manager/process-internal.h"
#include "manager/restart.h"
#include "manager/task-internal.h"
#include "unit/systemd.h"

#define SIGKILL_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define START_TIMEOUT_USEC   (40 * USEC_PER_SEC)
/* a little more than the supervisor gives CRIU */
#define RESTORE_TIMEOUT_USEC (11 * 60 * USEC_PER_SEC)

static void operation_unlink(Operation *o) {
        if (!o->process)
                return;
        for (Operation **p = &o->process->operations; *p; p = &(*p)->next)
                if (*p == o) {
                        *p = o->next;
                        break;
                }
}

static void on_reply(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        _cleanup_free_ Operation *o = userdata;

        operation_unlink(o);
        if (!o->process)
                return; /* told already */
        if (o->reply && r != -ESHUTDOWN)
                o->reply(o, r, e, reply);
        else
                o->callback(&o->process->object, r, e, o->userdata);
}

void process_drop_operations(Process *p) {
        _cleanup_error_ Error e = ERROR_NULL;

        error_setf(&e, CTR_NOT_FOUND, "\"%s\" was deleted", p->object.name);
        while (p->operations) {
                Operation *o = p->operations;

                operation_unlink(o);
                o->process = NULL;
                o->callback(&p->object, e.code, &e, o->userdata);
        }
}

void process_ignore(Object *o, int r, const Error *e, void *userdata) {
        if (r != 0)
                log_debug("A request about %s failed: %s", o->name, error_text_of(r, e));
}

/* The version of the protocol that understands it. */
static unsigned message_version(const SupervisorMessage *m) {
        if (m->type >= SUPERVISOR_EXEC_ADD || m->pid != 0 || *m->text)
                return 2;
        return 1;
}

static int request_failed(Process *p, int r, Error *e) {
        const char *task = process_task(p)->process.object.name;

        if (r == -EPIPE || r == -EAGAIN)
                return error_setf(e, CTR_UNAVAILABLE, "The supervisor of \"%s\" does not listen",
                                  task);
        return error_setf(e, r, "Failed to ask the supervisor of \"%s\": %m", task);
}

int process_request(Process *p, SupervisorMessage *m, const int *fds, size_t n_fds,
                    uint64_t timeout_usec, const Operation *operation, Error *e) {
        Task *t = process_task(p);
        _cleanup_free_ Operation *o = NULL;
        int r;

        if (!t->supervisor)
                return error_setf(e, CTR_UNAVAILABLE, "The supervisor of \"%s\" is gone",
                                  t->process.object.name);
        if (p != &t->process)
                (void) snprintf(m->text, sizeof(m->text), "%s", process_exec_id(p));
        if (message_version(m) > supervisor_version(t->supervisor))
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "The task \"%s\" was created by an older version of the service, "
                                  "which could not do this yet",
                                  t->process.object.name);
        o = malloc(sizeof(Operation));
        if (!o)
                return -ENOMEM;
        *o = *operation;
        o->process = p;
        r = supervisor_request(t->supervisor, m, fds, n_fds, timeout_usec, on_reply, o);
        if (r < 0)
                return request_failed(p, r, e);
        o->next = p->operations;
        p->operations = TAKE_PTR(o);
        return 0;
}

bool process_ended_meanwhile(Process *p, int r) {
        Task *t = process_task(p);

        if (r != CTR_UNAVAILABLE)
                return false;
        /* without a connection it may live; with one it wrote the record before that broke */
        if (t->supervisor)
                task_recheck(t);
        return p->status == TASK_STOPPED;
}

static int request_plain(Process *p, SupervisorMessage *m, Callback callback, void *userdata,
                         Error *e) {
        return process_request(p, m, NULL, 0, PROCESS_REQUEST_USEC,
                               &(Operation){.callback = callback, .userdata = userdata}, e);
}

static void on_started(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        Process *p = o->process;

        p->starting = false;
        if (r == 0 && p->status == TASK_CREATED) {
                if (reply->pid > 0)
                        p->pid = reply->pid;
                p->ran = true;
                process_set_status(p, TASK_RUNNING);
        }
        if (r != 0)
                process_recheck(p);
        /* nobody knows whether a supervisor that did not answer is still about to run it */
        if (r == CTR_DEADLINE_EXCEEDED && !reply)
                process_look_again(p);
        /* without an answer it goes on, and the next manager asks again */
        if (p->object.type == OBJECT_TASK && r != -ESHUTDOWN)
                checkpoint_restored(TASK(&p->object));
        /* a deletion may wait for this answer, or the client of an exec has gone meanwhile */
        if (p->deleting || r != 0)
                (void) process_schedule(p);
        o->callback(&p->object, r, e, o->userdata);
}

static int start_check(const Process *p, Error *e) {
        const Task *t = process_task(p);

        if (p != &t->process && t->process.status == TASK_STOPPED)
                return error_setf(
                                e, CTR_FAILED_PRECONDITION,
                                "Task \"%s\" is STOPPED: container %s init process is not running",
                                t->process.object.name, t->process.object.name);
        if (process_status(p) != TASK_CREATED)
                return process_wrong_state(p, "cannot start a ", " process", e);
        if (p->starting)
                return process_wrong_state(p, "cannot start a ", " process twice", e);
        return 0;
}

static int start_send(Process *p, Callback callback, void *userdata, Error *e) {
        bool exec = p->object.type == OBJECT_EXEC;
        int r;

        r = process_request(p,
                            &(SupervisorMessage){.type = exec ? SUPERVISOR_EXEC_START
                                                              : SUPERVISOR_START},
                            NULL, 0,
                            !exec && process_task(p)->checkpoint ? RESTORE_TIMEOUT_USEC
                                                                 : START_TIMEOUT_USEC,
                            &(Operation){.reply = on_started,
                                         .callback = callback,
                                         .userdata = userdata},
                            e);
        if (r == 0)
                p->starting = true;
        return r;
}

int process_start(Process *p, Callback callback, void *userdata, Error *e) {
        int r;

        r = start_check(p, e);
        if (r != 0)
                return r;
        if (p->object.type == OBJECT_TASK)
                restart_user_starts(process_task(p)->container);
        return start_send(p, callback, userdata, e);
}

int process_start_again(Process *p, Callback callback, void *userdata, Error *e) {
        return start_send(p, callback, userdata, e);
}

int process_wait(Process *p, Callback callback, void *userdata, Error *e) {
        int r;

        r = waiter_add(&p->exit_waiters, callback, userdata);
        if (r < 0)
                return r;
        return p->status == TASK_STOPPED ? process_schedule(p) : 0;
}

/* SIGKILL is for what does not answer, and a supervisor may be that too: stopped, or frozen with
 * its scope. */
static void on_sigkill_sent(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        Task *t = process_task(o->process);

        if (r == CTR_DEADLINE_EXCEEDED && !reply) {
                log_warning("%s; killing its whole scope", error_text(e));
                scope_kill(t->process.object.manager->systemd, t->unit);
                r = 0;
        }
        o->callback(&o->process->object, r, e, o->userdata);
}

static int kill_check(const Process *p, int signo, Error *e) {
        if (!signal_is_valid(signo))
                return error_setf(e, CTR_INVALID_ARGUMENT, "Invalid signal %i", signo);
        if (p->status == TASK_STOPPED)
                return process_already_exited(p, e);
        if (p->object.type == OBJECT_EXEC && p->status == TASK_CREATED && !p->starting)
                return process_wrong_state(p, "process not created (it is ", ")", e);
        return 0;
}

/* Who sends one of these wants it to end, and not to come back. */
static bool ends_tasks(const Process *p, int signo) {
        return signo == SIGKILL || signo == SIGTERM || signo == SIGINT || signo == SIGQUIT ||
               signo == process_task(p)->container->stop_signal;
}

int process_kill(Process *p, int signo, ProcessKillFlags flags, Callback callback, void *userdata,
                 Error *e) {
        bool init = p->object.type == OBJECT_TASK;
        SupervisorMessage m = {
                        .type = SUPERVISOR_SIGNAL,
                        .number = signo,
                        .flags = init && (flags & PROCESS_KILL_ALL) ? SUPERVISOR_SIGNAL_ALL : 0,
        };
        int r;

        r = kill_check(p, signo, e);
        if (r != 0)
                return r;
        if (init && ends_tasks(p, signo))
                restart_user_stops(process_task(p)->container);
        if (signo != SIGKILL || !init)
                return request_plain(p, &m, callback, userdata, e);
        return process_request(p, &m, NULL, 0, SIGKILL_TIMEOUT_USEC,
                               &(Operation){.reply = on_sigkill_sent,
                                            .callback = callback,
                                            .userdata = userdata},
                               e);
}

static void on_pid_signalled(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        _cleanup_error_ Error local = ERROR_NULL;

        if (r == CTR_NOT_FOUND && reply) {
                r = error_setf(&local, r, "Task \"%s\" has no process %i", o->process->object.name,
                               o->number);
                e = &local;
        }
        o->callback(&o->process->object, r, e, o->userdata);
}

int process_kill_pid(Process *p, int signo, pid_t pid, Callback callback, void *userdata,
                     Error *e) {
        Process *init = &process_task(p)->process;
        int r;

        if (pid <= 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%i is no pid", pid);
        r = kill_check(init, signo, e);
        if (r != 0)
                return r;
        return process_request(init,
                               &(SupervisorMessage){.type = SUPERVISOR_SIGNAL,
                                                    .number = signo,
                                                    .pid = pid},
                               NULL, 0, PROCESS_REQUEST_USEC,
                               &(Operation){.reply = on_pid_signalled,
                                            .callback = callback,
                                            .userdata = userdata,
                                            .number = pid},
                               e);
}

int process_resize(Process *p, unsigned width, unsigned height, Callback callback, void *userdata,
                   Error *e) {
        if (p->status == TASK_STOPPED)
                return process_wrong_state(p, "cannot resize a ", " process", e);
        /* the kernel's struct winsize has 16 bits for each (D25) */
        return request_plain(p,
                             &(SupervisorMessage){.type = SUPERVISOR_RESIZE,
                                                  .number = (int) MIN_OF(width, 0xffffU),
                                                  .number2 = (int) MIN_OF(height, 0xffffU)},
                             callback, userdata, e);
}

int process_close_stdin(Process *p, Callback callback, void *userdata, Error *e) {
        if (p->status == TASK_STOPPED)
                return process_already_exited(p, e);
        return request_plain(p, &(SupervisorMessage){.type = SUPERVISOR_CLOSE_STDIN}, callback,
                             userdata, e);
}

int process_attach(Process *p, const int fds[static 3], Callback callback, void *userdata,
                   Error *e) {
        static const uint32_t flags[] = {SUPERVISOR_ATTACH_STDIN, SUPERVISOR_ATTACH_STDOUT,
                                         SUPERVISOR_ATTACH_STDERR};
        SupervisorMessage m = {.type = SUPERVISOR_ATTACH};
        int given[ELEMENTSOF(flags)];
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                if (fds[i] < 0)
                        continue;
                given[n++] = fds[i];
                m.flags |= flags[i];
        }
        if (n == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "No stream to attach to is given");
        if (p->status == TASK_STOPPED)
                return process_wrong_state(p, "cannot attach to a ", " process", e);
        return process_request(p, &m, given, n, PROCESS_REQUEST_USEC,
                               &(Operation){.callback = callback, .userdata = userdata}, e);
}

int process_delete(Process *p, bool force, Callback callback, void *userdata, Error *e) {
        return p->object.type == OBJECT_EXEC
                               ? exec_delete(EXEC(&p->object), force, callback, userdata, e)
                               : task_delete(TASK(&p->object), force, callback, userdata, e);
}
