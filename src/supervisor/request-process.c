/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests about one process: init if the text is empty, else the exec of that id.
 */

#include <fcntl.h>
#include <sys/resource.h>

#include "basic/process.h"
#include "supervisor/request.h"

#define FDS_RESERVED 64

static int refuse_exited(Error *e) {
        return error_setf(e, CTR_NOT_FOUND, "The process has already exited");
}

static int find_exec(Supervisor *s, const Request *q, Exec **ret, Error *e) {
        *ret = exec_find(s, q->message->text);
        return *ret ? 0 : error_setf(e, CTR_NOT_FOUND, "There is no exec \"%s\"", q->message->text);
}

/* NULL for init. */
static int find_process(Supervisor *s, const Request *q, Process **ret, Exec **ret_exec, Error *e) {
        int r;

        *ret_exec = NULL;
        if (q->message->text[0] == '\0') {
                *ret = &s->init;
                return 0;
        }
        r = find_exec(s, q, ret_exec, e);
        if (r == 0)
                *ret = &(*ret_exec)->process;
        return r;
}

/* Descriptors are for what runs: the last ones must stay free for those who want to stop it. The
 * lowest free one tells how many are used. */
static int check_descriptors(Error *e) {
        struct rlimit limit;
        int fd;

        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return error_setf(e, errno == EMFILE ? CTR_RESOURCE_EXHAUSTED : -errno,
                                  "Failed to look for a descriptor: %m");
        fd_close(fd);
        if (getrlimit(RLIMIT_NOFILE, &limit) >= 0 && limit.rlim_cur != RLIM_INFINITY &&
            (rlim_t) fd + FDS_RESERVED > limit.rlim_cur)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The task has too many execs and attached clients");
        return 0;
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

static int signal_exec(Supervisor *s, const Request *q, Error *e) {
        Exec *x;
        int r;

        r = find_exec(s, q, &x, e);
        if (r != 0)
                return r;
        if (x->state == EXEC_ADDED || x->state == EXEC_STARTING)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The process is not started");
        if (x->state != EXEC_RUNNING)
                return refuse_exited(e);
        return pidfd_signal(x->pidfd, q->message->number);
}

static int signal_task(Supervisor *s, const SupervisorMessage *m) {
        if (s->state == STATE_CREATED && signal_is_fatal(m->number) && m->pid == 0) {
                /* init blocks and, as process 1 without handlers, is deaf to all but SIGKILL */
                supervisor_kill_payload(s);
                return 0;
        }
        if (m->flags & SUPERVISOR_SIGNAL_ALL)
                return payload_signal(s->payload, m->number);
        if (m->pid != 0 && m->pid != s->init.record.pid)
                return payload_signal_pid(s->payload, m->pid, m->number);
        /* not yet restored: nobody to be told */
        return s->container ? pidfd_signal(container_pidfd(s->container), m->number) : 0;
}

int request_signal(Supervisor *s, Request *q, Error *e) {
        const SupervisorMessage *m = q->message;
        int r;

        if (m->number < 0 || m->number > SIGRTMAX || m->pid < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%i is no signal, or %i no process",
                                  m->number, m->pid);
        if (m->text[0] != '\0')
                r = signal_exec(s, q, e);
        else if (supervisor_has_exited(s))
                return refuse_exited(e);
        else
                r = signal_task(s, m);
        if (r == -ESRCH)
                return refuse_exited(e);
        return r < 0 ? error_setf(e, r, "Failed to send signal %i: %m", m->number) : r;
}

int request_resize(Supervisor *s, Request *q, Error *e) {
        const SupervisorMessage *m = q->message;
        Process *p;
        Exec *x;
        int r;

        r = find_process(s, q, &p, &x, e);
        if (r != 0)
                return r;
        r = process_resize(p, m->number, m->number2);
        return r < 0 ? error_setf(e, r, "Failed to resize the terminal: %m") : 0;
}

int request_close_stdin(Supervisor *s, Request *q, Error *e) {
        Process *p;
        Exec *x;
        int r;

        r = find_process(s, q, &p, &x, e);
        if (r == 0)
                process_close_stdin(p);
        return r;
}

static size_t count_fds(const int fds[static SUPERVISOR_MESSAGE_FDS_MAX]) {
        size_t n = 0;

        while (n < SUPERVISOR_MESSAGE_FDS_MAX && fds[n] >= 0)
                n++;
        return n;
}

int request_attach(Supervisor *s, Request *q, Error *e) {
        Process *p;
        Exec *x;
        int r;

        r = find_process(s, q, &p, &x, e);
        if (r != 0)
                return r;
        if (x ? x->state >= EXEC_DRAINING : supervisor_has_exited(s))
                return error_setf(e, CTR_FAILED_PRECONDITION, "The process has already exited");
        r = check_descriptors(e);
        if (r != 0)
                return r;
        return process_attach(p, q->message->flags, q->fds, count_fds(q->fds), e);
}

/* An exec needs an init, and one that is not about to sleep (D2, D5). */
static int check_exec_allowed(const Supervisor *s, Error *e) {
        if (supervisor_has_exited(s) || s->init.record.pid == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Cannot exec: the init process of %s is not running",
                                  s->launch.id);
        if (s->freeze != FREEZE_NONE)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Cannot exec in a task that is %s",
                                  s->freeze == FREEZE_DONE ? "paused" : "pausing");
        return check_descriptors(e);
}

int request_exec_add(Supervisor *s, Request *q, Error *e) {
        const char *id = q->message->text;
        int r;

        r = identifier_validate(id, "exec id", e);
        if (r == 0)
                r = check_exec_allowed(s, e);
        if (r != 0)
                return r;
        return exec_add(s, id, q->fds, e);
}

int request_exec_start(Supervisor *s, Request *q, Error *e) {
        Exec *x;
        int r;

        r = find_exec(s, q, &x, e);
        if (r != 0)
                return r;
        if (x->state == EXEC_STARTING && !reply_is_awaited(&x->reply)) {
                request_defer(q, &x->reply);
                return 0;
        }
        if (x->state != EXEC_ADDED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The exec is %s and not created",
                                  exec_state_to_string(x->state));
        r = check_exec_allowed(s, e);
        if (r != 0)
                return r;
        request_defer(q, &x->reply);
        exec_start(x);
        return 0;
}

int request_exec_delete(Supervisor *s, Request *q, Error *e) {
        Exec *x;
        int r;

        r = find_exec(s, q, &x, e);
        if (r != 0)
                return r;
        if (x->state != EXEC_ADDED && x->state != EXEC_ENDED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The exec is %s%s",
                                  exec_state_to_string(x->state),
                                  exec_is_alive(x) ? "" : " and its output is being delivered");
        exec_delete(x);
        return 0;
}

int request_exec_state(Supervisor *s, Request *q, Error *e) {
        Exec *x;
        int r;

        r = find_exec(s, q, &x, e);
        if (r != 0)
                return r;
        q->reply.pid = x->process.record.pid;
        q->reply.flags = (x->process.record.started ? SUPERVISOR_STATE_STARTED : 0) |
                         (x->state == EXEC_STARTING ? SUPERVISOR_STATE_STARTING : 0) |
                         (x->state >= EXEC_DRAINING ? SUPERVISOR_STATE_EXITED : 0) |
                         (x->process.terminal ? SUPERVISOR_STATE_TERMINAL : 0);
        return 0;
}
