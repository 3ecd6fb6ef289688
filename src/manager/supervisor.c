/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/supervisor.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "basic/log.h"
#include "basic/process.h"

typedef struct Request Request;
struct Request {
        Supervisor *supervisor;
        Request *next;
        uint32_t id;
        SupervisorReply reply;
        void *userdata;
        sd_event_source *timer;
};

struct Supervisor {
        Manager *manager;
        int fd, pidfd;
        pid_t pid;
        bool child;
        unsigned version;
        sd_event_source *io_source, *pid_source;
        const SupervisorHandlers *handlers;
        void *userdata;
        Request *requests;
        uint32_t last_id;
};

static void request_free(Request *q) {
        for (Request **p = &q->supervisor->requests; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        break;
                }
        sd_event_source_disable_unref(q->timer);
        free(q);
}

static void request_complete(Request *q, int r, const Error *e, const SupervisorMessage *m) {
        SupervisorReply reply = q->reply;
        void *userdata = q->userdata;

        request_free(q);
        reply(r, e, m, userdata);
}

Supervisor *supervisor_free(Supervisor *s) {
        if (!s)
                return NULL;
        while (s->requests)
                request_complete(s->requests, -ESHUTDOWN, NULL, NULL);
        sd_event_source_disable_unref(s->io_source);
        sd_event_source_disable_unref(s->pid_source);
        fd_close(s->fd);
        fd_close(s->pidfd);
        free(s);
        return NULL;
}

pid_t supervisor_pid(const Supervisor *s) {
        return s->pid;
}

static bool is_hung_up(int fd) {
        struct pollfd p = {.fd = fd};

        return poll(&p, 1, 0) != 0;
}

bool supervisor_is_hung_up(const Supervisor *s) {
        return s->fd < 0 || is_hung_up(s->fd);
}

unsigned supervisor_version(const Supervisor *s) {
        return s->version;
}

void supervisor_set_version(Supervisor *s, unsigned version) {
        s->version = version;
}

void supervisor_kill(Supervisor *s) {
        int r = pidfd_signal(s->pidfd, SIGKILL);

        if (r < 0 && r != -ESRCH)
                log_warning_errno(r, "Failed to kill supervisor %i: %m", s->pid);
}

static void handle_reply(Supervisor *s, const SupervisorMessage *m) {
        _cleanup_error_ Error e = ERROR_NULL;

        for (Request *q = s->requests; q; q = q->next) {
                if (q->id != m->id)
                        continue;
                if (m->code != 0)
                        error_setf(&e, m->code, "%s",
                                   *m->text ? m->text : error_code_to_string(m->code));
                request_complete(q, m->code, &e, m);
                return;
        }
        log_debug("Supervisor %i answered a request that nobody waits for", s->pid);
}

/* One message per turn of the loop, so that nothing is looked at after a handler ran. */
static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Supervisor *s = userdata;
        SupervisorMessage m;
        int r;

        r = supervisor_message_receive(s->fd, &m, NULL);
        if (r == -EAGAIN)
                return 0;
        if (r > 0 && m.type == SUPERVISOR_REPLY)
                handle_reply(s, &m);
        else if (r > 0)
                s->handlers->message(&m, s->userdata);
        else {
                if (r < 0)
                        log_warning_errno(r, "Lost supervisor %i: %m", s->pid);
                s->io_source = sd_event_source_disable_unref(s->io_source);
                s->fd = fd_close(s->fd);
        }
        return 0;
}

static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        int status = 0, r;

        s->pid_source = sd_event_source_disable_unref(s->pid_source);
        if (s->child) {
                r = pidfd_wait(s->pidfd, &status);
                if (r < 0)
                        log_warning_errno(r, "Failed to reap supervisor %i: %m", s->pid);
        }
        log_debug("Supervisor %i is gone, status %i", s->pid, status);

        error_setf(&e, CTR_UNAVAILABLE, "The task's supervisor is gone");
        while (s->requests)
                request_complete(s->requests, e.code, &e, NULL);
        s->handlers->gone(s->userdata);
        return 0;
}

int supervisor_new(Manager *m, int fd, int pidfd, pid_t pid, bool child,
                   const SupervisorHandlers *handlers, void *userdata, Supervisor **ret) {
        _cleanup_(supervisor_freep) Supervisor *s = NULL;
        int r;

        s = malloc(sizeof(Supervisor));
        if (!s) {
                fd_close(fd);
                fd_close(pidfd);
                return -ENOMEM;
        }
        *s = (Supervisor){
                        .manager = m,
                        .fd = fd,
                        .pidfd = pidfd,
                        .pid = pid,
                        .child = child,
                        .version = SUPERVISOR_PROTOCOL_VERSION,
                        .handlers = handlers,
                        .userdata = userdata,
        };
        r = supervisor_socket_set_up(fd);
        if (r < 0)
                return r;
        r = sd_event_add_io(m->event, &s->io_source, fd, EPOLLIN, on_io, s);
        if (r < 0)
                return r;
        r = sd_event_add_io(m->event, &s->pid_source, pidfd, EPOLLIN, on_gone, s);
        if (r < 0)
                return r;
        /* after all that it had to say */
        r = sd_event_source_set_priority(s->pid_source, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int supervisor_connect(Manager *m, int dir_fd, const SupervisorHandlers *handlers, void *userdata,
                       Supervisor **ret) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t size = sizeof(struct ucred);
        _cleanup_close_ int fd = -1;
        struct ucred peer;
        int pidfd;

        /* through the descriptor: the path may be longer than sun_path */
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%i/%s", dir_fd,
                        SUPERVISOR_CONTROL_NAME);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != 0)
                return -EPERM;
        pidfd = pidfd_open_pid(peer.pid);
        if (pidfd < 0)
                return pidfd == -ESRCH ? -ECONNREFUSED : pidfd;
        /* the pid is that of the one who listens; while he does it is nobody else's (D40) */
        if (is_hung_up(fd)) {
                fd_close(pidfd);
                return -ECONNREFUSED;
        }
        return supervisor_new(m, TAKE_FD(fd), pidfd, peer.pid, false, handlers, userdata, ret);
}

int supervisor_send(Supervisor *s, uint32_t type) {
        SupervisorMessage m = {.type = type};

        return s->fd >= 0 ? supervisor_message_send(s->fd, &m, NULL, 0) : -EPIPE;
}

static int on_request_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Request *q = userdata;

        error_setf(&e, CTR_DEADLINE_EXCEEDED, "The task's supervisor (pid %i) does not answer",
                   q->supervisor->pid);
        request_complete(q, e.code, &e, NULL);
        return 0;
}

int supervisor_request(Supervisor *s, SupervisorMessage *m, const int *fds, size_t n_fds,
                       uint64_t timeout_usec, SupervisorReply reply, void *userdata) {
        Request *q;
        int r;

        if (s->fd < 0)
                return -EPIPE;
        q = malloc(sizeof(Request));
        if (!q)
                return -ENOMEM;
        *q = (Request){
                        .supervisor = s,
                        .next = s->requests,
                        .id = ++s->last_id ?: ++s->last_id,
                        .reply = reply,
                        .userdata = userdata,
        };
        s->requests = q;
        m->id = q->id;
        r = sd_event_add_time_relative(s->manager->event, &q->timer, CLOCK_MONOTONIC, timeout_usec,
                                       0, on_request_timeout, q);
        if (r >= 0)
                r = supervisor_message_send(s->fd, m, fds, n_fds);
        if (r < 0)
                request_free(q);
        return r;
}
