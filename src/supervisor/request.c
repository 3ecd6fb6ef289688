/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What can be asked of a supervisor. Invariant: no request holds up another one; only GO waits, up
 * to 30 s, for init and the log programs, and none comes before it is answered, and a SIGNAL to all
 * processes, up to 2 s, for the freezer.
 */

#include "supervisor/request.h"

#include <signal.h>

#include "supervisor/checkpoint.h"

/* Answered by CREATED or FAILED; after FAILED this process ends. */
static int request_go(Supervisor *s, Request *q, Error *e) {
        int r;

        if (s->state != STATE_WAITING)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task has already been created");

        r = supervisor_enter(s, e);
        if (r != 0) {
                q->reply.type = SUPERVISOR_FAILED;
                s->result = EXIT_FAILURE;
                supervisor_set_state(s, STATE_DONE);
                return r;
        }
        q->reply.type = SUPERVISOR_CREATED;
        q->reply.pid = s->init.record.pid;
        supervisor_set_state(s, STATE_CREATED);
        return 0;
}

static int request_hello(Supervisor *s, Request *q, Error *e) {
        q->reply.number = SUPERVISOR_PROTOCOL_VERSION;
        q->reply.pid = s->init.record.pid;
        q->reply.flags = (s->init.record.started ? SUPERVISOR_STATE_STARTED : 0) |
                         (supervisor_is_starting(s) ? SUPERVISOR_STATE_STARTING : 0) |
                         (supervisor_has_exited(s) ? SUPERVISOR_STATE_EXITED : 0) |
                         (s->init.terminal ? SUPERVISOR_STATE_TERMINAL : 0) |
                         (s->freeze == FREEZE_DONE ? SUPERVISOR_STATE_PAUSED : 0) |
                         (s->freeze == FREEZE_PENDING ? SUPERVISOR_STATE_PAUSING : 0) |
                         (checkpoint_is_dumping(s) ? SUPERVISOR_STATE_DUMPING : 0);
        return 0;
}

static int request_start(Supervisor *s, Request *q, Error *e) {
        if (supervisor_is_starting(s) && !reply_is_awaited(&s->start_reply)) {
                request_defer(q, &s->start_reply);
                return 0;
        }
        if (s->state != STATE_CREATED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task is %s and not created",
                                  supervisor_state_to_string(s->state));
        request_defer(q, &s->start_reply);
        supervisor_start(s);
        return 0;
}

static int request_stop(Supervisor *s, Request *q, Error *e) {
        const SupervisorMessage *m = q->message;
        int r;

        if (m->number <= 0 || m->number > SIGRTMAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%i is no signal", m->number);
        r = supervisor_has_exited(s) ? -ESRCH : supervisor_stop(s, m->number, m->usec);
        if (r == -ESRCH)
                return error_setf(e, CTR_NOT_FOUND, "The process has already exited");
        return r < 0 ? error_setf(e, r, "Failed to send signal %i: %m", m->number) : 0;
}

static int request_pause(Supervisor *s, Request *q, Error *e) {
        int r;

        if (s->freeze != FREEZE_PENDING || reply_is_awaited(&s->pause_reply)) {
                r = supervisor_pause(s, e);
                if (r != 0)
                        return r;
        }
        request_defer(q, &s->pause_reply);
        supervisor_check_frozen(s);
        return 0;
}

static int request_resume(Supervisor *s, Request *q, Error *e) {
        return supervisor_resume(s, e);
}

static const RequestHandler handlers[] = {
                [SUPERVISOR_GO] = request_go,
                [SUPERVISOR_HELLO] = request_hello,
                [SUPERVISOR_START] = request_start,
                [SUPERVISOR_SIGNAL] = request_signal,
                [SUPERVISOR_STOP] = request_stop,
                [SUPERVISOR_RESIZE] = request_resize,
                [SUPERVISOR_CLOSE_STDIN] = request_close_stdin,
                [SUPERVISOR_EXEC_ADD] = request_exec_add,
                [SUPERVISOR_EXEC_START] = request_exec_start,
                [SUPERVISOR_EXEC_DELETE] = request_exec_delete,
                [SUPERVISOR_EXEC_STATE] = request_exec_state,
                [SUPERVISOR_ATTACH] = request_attach,
                [SUPERVISOR_PAUSE] = request_pause,
                [SUPERVISOR_RESUME] = request_resume,
                [SUPERVISOR_CHECKPOINT] = request_checkpoint,
};

void supervisor_request(void *userdata, Request *q) {
        const SupervisorMessage *m = q->message;
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        int r;

        if (m->type >= ELEMENTSOF(handlers) || !handlers[m->type])
                /* a manager that is newer than this task */
                r = error_setf(&e, CTR_NOT_IMPLEMENTED, "Request %u is not known", m->type);
        else if (s->state == STATE_WAITING && m->type != SUPERVISOR_GO)
                r = error_setf(&e, CTR_FAILED_PRECONDITION, "The task has not been created yet");
        else
                r = handlers[m->type](s, q, &e);
        if (!q->deferred)
                supervisor_message_set_error(&q->reply, r, &e);
}
