/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What can be asked of a supervisor: one function per request, one table. Each returns 0, a
 * negative errno or an ErrorCode, with a text; the reply carries both. Invariant: a request is
 * answered at once, whatever the container does meanwhile; only GO and START wait, up to 30 s each,
 * for init, which runs no code of the image before they are answered.
 */

#include "basic/clock.h"
#include "basic/process.h"
#include "supervisor/supervisor.h"

#define START_USEC (30 * USEC_PER_SEC)

typedef int (*Request)(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                       Error *e);

static bool has_exited(const Supervisor *s) {
        return s->state >= STATE_EMPTYING;
}

static int refuse_exited(Error *e) {
        return error_setf(e, CTR_NOT_FOUND, "The process has already exited");
}

/* Answered by CREATED or FAILED; after FAILED this process ends. */
static int request_go(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                      Error *e) {
        int r;

        if (s->state != STATE_WAITING)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task has already been created");

        r = supervisor_enter(s, e);
        if (r != 0) {
                reply->type = SUPERVISOR_FAILED;
                s->result = EXIT_FAILURE;
                supervisor_set_state(s, STATE_DONE);
                return r;
        }
        reply->type = SUPERVISOR_CREATED;
        reply->pid = container_pid(s->container);
        supervisor_set_state(s, STATE_CREATED);
        return 0;
}

static int request_hello(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                         Error *e) {
        reply->number = SUPERVISOR_PROTOCOL_VERSION;
        reply->pid = s->record.pid;
        reply->flags = (s->record.started ? SUPERVISOR_STATE_STARTED : 0) |
                       (has_exited(s) ? SUPERVISOR_STATE_EXITED : 0) |
                       (s->launch.terminal ? SUPERVISOR_STATE_TERMINAL : 0);
        return 0;
}

static int request_start(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                         Error *e) {
        int r;

        if (s->state != STATE_CREATED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task is %s and not created",
                                  supervisor_state_to_string(s->state));

        s->record.started = true;
        supervisor_set_state(s, STATE_RUNNING);
        r = container_start(s->container, START_USEC, e);
        if (r == 0)
                return 0;

        if (e->code == 0)
                (void) error_setf(e, r, "Failed to start the program");
        /* without memory for the text the code still tells */
        (void) free_and_strdup(&s->record.error, error_text(e));
        if (r != CTR_COMMAND_NOT_FOUND && r != CTR_COMMAND_NOT_EXECUTABLE)
                /* no word from init in time, or half a start: it must not go on by itself */
                supervisor_kill_payload(s);
        return r;
}

/* Whether the kernel would end a process that has no handler for it. */
static bool signal_is_fatal(int signo) {
        static const int harmless[] = {0,       SIGCHLD, SIGCONT, SIGURG, SIGWINCH,
                                       SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};

        for (size_t i = 0; i < ELEMENTSOF(harmless); i++)
                if (signo == harmless[i])
                        return false;
        return true;
}

static int request_signal(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                          Error *e) {
        int r;

        if (m->number < 0 || m->number > SIGRTMAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%i is no signal", m->number);
        if (has_exited(s))
                return refuse_exited(e);

        if (s->state == STATE_CREATED && signal_is_fatal(m->number)) {
                /* init blocks and, as process 1 without handlers, is deaf to all but SIGKILL */
                supervisor_kill_payload(s);
                return 0;
        }
        if (m->flags & SUPERVISOR_SIGNAL_ALL)
                r = payload_signal(s->payload, m->number);
        else
                r = pidfd_signal(container_pidfd(s->container), m->number);
        if (r == -ESRCH)
                return refuse_exited(e);
        return r < 0 ? error_setf(e, r, "Failed to send signal %i: %m", m->number) : 0;
}

static int request_stop(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                        Error *e) {
        int r;

        if (m->number <= 0 || m->number > SIGRTMAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%i is no signal", m->number);
        if (has_exited(s))
                return refuse_exited(e);
        r = supervisor_stop(s, m->number, m->usec);
        if (r == -ESRCH)
                return refuse_exited(e);
        return r < 0 ? error_setf(e, r, "Failed to send signal %i: %m", m->number) : 0;
}

static int request_resize(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                          Error *e) {
        int r;

        if (!s->terminal)
                return 0;
        r = terminal_resize(s->terminal, m->number, m->number2);
        return r < 0 ? error_setf(e, r, "Failed to resize the terminal: %m") : 0;
}

/* Closes what holds standard input open on our side. A descriptor that was handed straight to the
 * program has its other end at the client. */
static int request_close_stdin(Supervisor *s, const SupervisorMessage *m, SupervisorMessage *reply,
                               Error *e) {
        int *keeper = &s->streams.keeper[STDIN_FILENO];

        if (*keeper >= 0)
                /* the end comes when all writers are gone and what they wrote was read (D26) */
                *keeper = fd_close(*keeper);
        else if (s->terminal)
                terminal_close_input(s->terminal);
        return 0;
}

static const Request requests[] = {
                [SUPERVISOR_GO] = request_go,
                [SUPERVISOR_HELLO] = request_hello,
                [SUPERVISOR_START] = request_start,
                [SUPERVISOR_SIGNAL] = request_signal,
                [SUPERVISOR_STOP] = request_stop,
                [SUPERVISOR_RESIZE] = request_resize,
                [SUPERVISOR_CLOSE_STDIN] = request_close_stdin,
};

void supervisor_request(void *userdata, const SupervisorMessage *m, SupervisorMessage *reply) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        int r;

        if (m->type >= ELEMENTSOF(requests) || !requests[m->type])
                /* a manager that is newer than this task */
                r = error_setf(&e, CTR_NOT_IMPLEMENTED, "Request %u is not known", m->type);
        else if (s->state == STATE_WAITING && m->type != SUPERVISOR_GO)
                r = error_setf(&e, CTR_FAILED_PRECONDITION, "The task has not been created yet");
        else
                r = requests[m->type](s, m, reply, &e);
        supervisor_message_set_error(reply, r, &e);
}
