/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The manager's end of a task's supervisor: its pidfd and, while there is one, a connection. Made
 * at launch with the socketpair, or after a restart of the manager by connecting to the task's
 * control socket.
 *
 * Invariant: the owner hears `gone` exactly once, after every message that the supervisor had sent,
 * and after all open requests failed; only then, or with the whole manager, it is freed.
 */

#include "manager/manager.h"
#include "supervisor/protocol.h"

typedef struct Supervisor Supervisor;

typedef struct SupervisorHandlers {
        /* a pushed message: CREATED, FAILED, EXITED, EXEC_EXITED, OOM */
        void (*message)(const SupervisorMessage *m, void *userdata);
        /* the process is gone; may free the Supervisor */
        void (*gone)(void *userdata);
} SupervisorHandlers;

/* r is 0 or what the supervisor (or the connection) said; reply is NULL if there was none. */
typedef void (*SupervisorReply)(int r, const Error *e, const SupervisorMessage *reply,
                                void *userdata);

/* Takes fd and pidfd over, also on failure. child: it is ours to reap. */
int supervisor_new(Manager *m, int fd, int pidfd, pid_t pid, bool child,
                   const SupervisorHandlers *handlers, void *userdata, Supervisor **ret);

/* Connects to dir_fd/control. -ENOENT or -ECONNREFUSED if nobody listens there. */
int supervisor_connect(Manager *m, int dir_fd, const SupervisorHandlers *handlers, void *userdata,
                       Supervisor **ret);

/* Open requests fail with -ESHUTDOWN; a child that lives on is left alone. */
Supervisor *supervisor_free(Supervisor *s);
DEFINE_CLEANUP(Supervisor *, supervisor_free);

/* Sends a request with copies of fds; reply is called once, within timeout_usec. m->id is filled
 * in. */
int supervisor_request(Supervisor *s, SupervisorMessage *m, const int *fds, size_t n_fds,
                       uint64_t timeout_usec, SupervisorReply reply, void *userdata);

/* Sends a message that has no REPLY (GO). */
int supervisor_send(Supervisor *s, uint32_t type);

/* The version of the protocol that it speaks: ours, unless HELLO said otherwise. */
unsigned supervisor_version(const Supervisor *s) _pure_;
void supervisor_set_version(Supervisor *s, unsigned version);

pid_t supervisor_pid(const Supervisor *s) _pure_;
/* It has closed its end, so it has ended; what it said before may not have been read yet. */
bool supervisor_is_hung_up(const Supervisor *s);
void supervisor_kill(Supervisor *s);
