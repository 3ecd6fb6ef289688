/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The sockets that requests come from: the one the supervisor was born with and those accepted from
 * <task dir>/control. Invariant: a peer can neither block nor crowd out the supervisor; whoever
 * talks nonsense, does not read, or is one too many is disconnected.
 */

#include "basic/error.h"
#include "supervisor/loop.h"
#include "supervisor/protocol.h"

#define CONNECTIONS_MAX 16U

typedef struct Connection Connection;
typedef struct ConnectionSet ConnectionSet;

struct ConnectionSet {
        Loop *loop;
        Connection *connections;
        size_t n_connections;
        int listen_fd;
        Source listen_source;
        /* Answers a request by filling in reply (type and id are set). */
        void (*request)(void *userdata, const SupervisorMessage *m, SupervisorMessage *reply);
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

/* Closes all of them. */
void connection_set_clear(ConnectionSet *set);
