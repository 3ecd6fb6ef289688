/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/connection.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/log.h"

#define UNREAD_MAX 4096U /* more than net.unix.max_dgram_qlen of any machine */

struct Connection {
        ConnectionSet *set;
        int fd;
        Source source;
        Reply *replies; /* that it waits for */
        bool busy;      /* with a request, which may well end it */
        Connection *next;
};

static void reply_unlink(Reply *r) {
        if (r->next)
                r->next->previous = r->previous;
        if (r->previous)
                r->previous->next = r->next;
        else
                r->connection->replies = r->next;
        *r = (Reply){};
}

/* Clones of us (an init that is not started yet, hooks) have a copy: the other end hears of it now,
 * not when the last of them is gone. And it hears first what was sent to it, which the kernel
 * forgets if something from it is not read: a GO that crosses a FAILED. */
static void hang_up(int fd) {
        char byte;

        (void) shutdown(fd, SHUT_RDWR);
        for (unsigned i = 0; i < UNREAD_MAX && recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0; i++)
                ;
}

static void connection_close(Connection *c) {
        ConnectionSet *set = c->set;

        for (Connection **p = &set->connections; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        set->n_connections--;
                        break;
                }
        while (c->replies)
                reply_unlink(c->replies);
        source_remove(&c->source);
        hang_up(c->fd);
        c->fd = fd_close(c->fd);
        if (!c->busy)
                free(c);
        if (set->closed)
                set->closed(set->userdata);
}

static void connection_send(Connection *c, const SupervisorMessage *m) {
        int r;

        r = supervisor_message_send(c->fd, m, NULL, 0);
        if (r < 0) {
                log_debug_errno(r, "Dropping a connection that does not read: %m");
                connection_close(c);
        }
}

/* What the request does not take of the descriptors is closed. */
static void connection_answer(Connection *c, const SupervisorMessage *m,
                              int fds[static SUPERVISOR_MESSAGE_FDS_MAX]) {
        Request q = {.message = m,
                     .fds = fds,
                     .connection = c,
                     .reply = {.type = SUPERVISOR_REPLY, .id = m->id}};

        c->busy = true;
        c->set->request(c->set->userdata, &q);
        c->busy = false;
        for (size_t i = 0; i < SUPERVISOR_MESSAGE_FDS_MAX; i++)
                fd_close(fds[i]);
        if (c->fd < 0)
                free(c);
        else if (!q.deferred)
                connection_send(c, &q.reply);
}

/* One request per wake-up: the others get their turn in between. */
static void connection_dispatch(void *userdata, short revents) {
        int fds[SUPERVISOR_MESSAGE_FDS_MAX], r;
        Connection *c = userdata;
        SupervisorMessage m;

        r = supervisor_message_receive(c->fd, &m, fds);
        if (r == -EAGAIN)
                return;
        if (r < 0)
                log_debug_errno(r, "Dropping a connection: %m");
        if (r <= 0) {
                connection_close(c);
                return;
        }
        connection_answer(c, &m, fds);
}

void request_defer(Request *q, Reply *r) {
        assert(!r->connection && !q->deferred);

        q->deferred = true;
        if (q->connection->fd < 0)
                return; /* the request itself has ended it: nobody waits */
        *r = (Reply){.connection = q->connection, .id = q->message->id};
        r->next = q->connection->replies;
        if (r->next)
                r->next->previous = r;
        q->connection->replies = r;
}

bool reply_is_awaited(const Reply *r) {
        return r->connection;
}

void reply_send(Reply *r, int code, const Error *e, pid_t pid) {
        SupervisorMessage m = {.type = SUPERVISOR_REPLY, .id = r->id, .pid = pid};
        Connection *c = r->connection;

        if (!c)
                return;
        reply_unlink(r);
        supervisor_message_set_error(&m, code, e);
        connection_send(c, &m);
}

int connection_add(ConnectionSet *set, int fd) {
        _cleanup_close_ int owned = fd;
        Connection *c;
        int r;

        assert(set && set->loop && set->request && fd >= 0);

        if (set->n_connections >= CONNECTIONS_MAX)
                return -ENOBUFS;
        r = supervisor_socket_set_up(fd);
        if (r < 0)
                return r;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->set = set;
        c->fd = owned;
        c->source = (Source){.fd = owned,
                             .events = POLLIN,
                             .dispatch = connection_dispatch,
                             .userdata = c};
        r = loop_add(set->loop, &c->source);
        if (r < 0) {
                free(c);
                return r;
        }
        TAKE_FD(owned);
        c->next = set->connections;
        set->connections = c;
        set->n_connections++;
        return 0;
}

/* The socket is 0600 in a directory of root's; this is the second lock. */
static bool peer_is_trusted(int fd) {
        struct ucred cred;
        socklen_t size = sizeof(cred);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) >= 0 && cred.uid == geteuid();
}

static void listen_dispatch(void *userdata, short revents) {
        _cleanup_close_ int fd = -1;
        ConnectionSet *set = userdata;
        int r;

        fd = accept4(set->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                        log_warning_errno(errno, "Failed to accept a connection: %m");
                return;
        }
        if (!peer_is_trusted(fd)) {
                log_warning("Refused a connection of another user");
                return;
        }
        r = connection_add(set, TAKE_FD(fd));
        if (r < 0)
                log_warning_errno(r, "Refused a connection: %m");
}

/* sun_path is too short for a task directory: go by the descriptor. */
static int bind_at(int fd, int dir_fd, const char *name) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int n;

        n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%i/%s", dir_fd, name);
        if (n < 0 || (size_t) n >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        /* the mode of the socket in memory is the one its file gets */
        if (fchmod(fd, 0600) < 0)
                return -errno;
        return bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : 0;
}

int connection_listen(ConnectionSet *set, int dir_fd, const char *name, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        assert(set && set->listen_fd < 0);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make a socket: %m");
        r = bind_at(fd, dir_fd, name);
        if (r < 0)
                return error_setf(e, r, "Failed to bind %s: %m", name);
        if (listen(fd, CONNECTIONS_MAX) < 0) {
                r = -errno;
                (void) unlinkat(dir_fd, name, 0);
                return error_setf(e, r, "Failed to listen on %s: %m", name);
        }

        set->listen_source = (Source){.fd = fd,
                                      .events = POLLIN,
                                      .dispatch = listen_dispatch,
                                      .userdata = set};
        r = loop_add(set->loop, &set->listen_source);
        if (r < 0) {
                (void) unlinkat(dir_fd, name, 0);
                return r;
        }
        set->listen_fd = TAKE_FD(fd);
        return 0;
}

void connection_broadcast(ConnectionSet *set, const SupervisorMessage *m) {
        for (Connection *c = set->connections, *next; c; c = next) {
                next = c->next;
                connection_send(c, m);
        }
}

void connection_set_clear(ConnectionSet *set) {
        set->closed = NULL;
        while (set->connections)
                connection_close(set->connections);
        source_remove(&set->listen_source);
        set->listen_fd = fd_close(set->listen_fd);
}
