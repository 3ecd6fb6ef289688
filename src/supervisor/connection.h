/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The sockets that requests come from: the one the supervisor was born with and those accepted from
 * <task dir>/control. A request is answered at once, or later by way of a Reply.
 *
 * Invariant: a peer can neither block nor crowd out the supervisor; whoever talks nonsense, does
 * not read, or is one too many is disconnected. An answer that nobody waits for any more is
 * dropped.
 */

#include "basic/error.h"
#include "supervisor/loop.h"
#include "supervisor/protocol.h"

#define CONNECTIONS_MAX 16U

typedef struct Connection Connection;
typedef struct ConnectionSet ConnectionSet;

/* An answer that is given later. Embedded in what it waits for; zeroed: nobody waits. */
typedef struct Reply {
        Connection *connection;
        uint32_t id;
        struct Reply *previous, *next;
} Reply;

typedef struct Request {
        const SupervisorMessage *message;
        int *fds; /* SUPERVISOR_MESSAGE_FDS_MAX, the rest -1; what is not taken is closed */
        Connection *connection;
        SupervisorMessage reply; /* type and id are set; sent unless request_defer() was called */
        bool deferred;
} Request;

struct ConnectionSet {
        Loop *loop;
        Connection *connections;
        size_t n_connections;
        int listen_fd;
        Source listen_source;
        /* Answers a request by filling in q->reply, or defers that. */
        void (*request)(void *userdata, Request *q);
        /* A connection has ended; NULL if nobody cares. */
        void (*closed)(void *userdata);
        void *userdata;
};

/* Takes fd. 0, -ENOBUFS if there are too many, -ENOMEM; fd is closed on failure. */
int connection_add(ConnectionSet *set, int fd);

/* Binds and listens on name in the directory, for peers of our own user (root) only. */
int connection_listen(ConnectionSet *set, int dir_fd, const char *name, Error *e);

/* Sends m to everybody. */
void connection_broadcast(ConnectionSet *set, const SupervisorMessage *m);

/* The request is answered by way of r, which nobody waits for. */
void request_defer(Request *q, Reply *r);

/* Whether somebody waits for it. */
bool reply_is_awaited(const Reply *r) _pure_;

/* Sends the answer, if somebody waits for it; nobody does then. */
void reply_send(Reply *r, int code, const Error *e, pid_t pid);

/* Closes all of them. */
void connection_set_clear(ConnectionSet *set);
