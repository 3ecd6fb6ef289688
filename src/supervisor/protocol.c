/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One message, one packet: the fixed head and the text with its NUL. Both ends are of one build or
 * of builds that an upgrade put side by side, so the layout is checked and an unknown type is left
 * to the caller. Invariant: a message that was received has a terminated text without anything
 * behind it, and every descriptor that came with a packet is either handed on or closed.
 */

#include "supervisor/protocol.h"

#include <sys/socket.h>

#define QUEUE_SIZE (4 * 1024 * 1024) /* a short message counts as 768 bytes */
#define HEAD_SIZE  offsetof(SupervisorMessage, text)

_Static_assert(HEAD_SIZE == 40, "the head has no padding and the same layout in every build");

/* Room for the descriptors of one packet, aligned as control messages ask for. */
typedef union ControlBuffer {
        struct cmsghdr header;
        char space[CMSG_SPACE(SUPERVISOR_MESSAGE_FDS_MAX * sizeof(int))];
} ControlBuffer;

int supervisor_socket_set_up(int fd) {
        const int size = QUEUE_SIZE;

        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) >= 0)
                return 0;
        /* whose capabilities are few gets what everybody gets */
        if (errno == EPERM && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) >= 0)
                return 0;
        return -errno;
}

int supervisor_message_send(int fd, const SupervisorMessage *m, const int *fds, size_t n_fds) {
        ControlBuffer control = {};
        struct iovec iov = {.iov_base = (void *) m};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        assert(fd >= 0 && m && n_fds <= SUPERVISOR_MESSAGE_FDS_MAX && (fds || n_fds == 0));

        iov.iov_len = HEAD_SIZE + strnlen(m->text, sizeof(m->text)) + 1;
        assert(iov.iov_len <= sizeof(*m));

        if (n_fds > 0) {
                struct cmsghdr *c;

                mh.msg_control = &control;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&mh);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }

        while (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                if (errno == EINTR)
                        continue;
                return errno == ECONNRESET ? -EPIPE : -errno;
        }
        return 0;
}

/* Moves the descriptors of a packet into ret; what finds no place there is closed. */
static void collect_fds(struct msghdr *mh, int ret[static SUPERVISOR_MESSAGE_FDS_MAX]) {
        size_t n_ret = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (n_ret < SUPERVISOR_MESSAGE_FDS_MAX)
                                ret[n_ret++] = fd;
                        else
                                fd_close(fd);
                }
        }
}

static bool message_is_valid(const SupervisorMessage *m, size_t size, int flags) {
        return !(flags & (MSG_TRUNC | MSG_CTRUNC)) && size > HEAD_SIZE && m->reserved == 0 &&
               strnlen(m->text, size - HEAD_SIZE) == size - HEAD_SIZE - 1;
}

int supervisor_message_receive(int fd, SupervisorMessage *ret,
                               int fds[SUPERVISOR_MESSAGE_FDS_MAX]) {
        int received[SUPERVISOR_MESSAGE_FDS_MAX] = {-1, -1, -1, -1};
        ControlBuffer control = {};
        struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
        unsigned reset = 0;
        bool valid;
        ssize_t n;

        assert(fd >= 0 && ret);

        for (size_t i = 0; fds && i < ELEMENTSOF(received); i++)
                fds[i] = -1;

        /* a peer that left without having read all of ours is reported ahead of what it had sent,
         * once */
        do
                n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;

        collect_fds(&mh, received);
        /* an empty packet looks like the end of file, and nobody sends one */
        valid = n > 0 && message_is_valid(ret, (size_t) n, mh.msg_flags);
        for (size_t i = 0; i < ELEMENTSOF(received); i++)
                if (valid && fds)
                        fds[i] = received[i];
                else
                        fd_close(received[i]);

        if (n == 0)
                return 0;
        return valid ? 1 : -EBADMSG;
}

void supervisor_message_set_error(SupervisorMessage *m, int code, const Error *e) {
        Error plain = {.code = code};
        const char *text;
        size_t n;

        assert(m);

        m->code = code;
        m->text[0] = '\0';
        if (code == 0)
                return;

        text = error_text(e && e->code != 0 ? e : &plain);
        n = strnlen(text, sizeof(m->text) - 1);
        /* D-Bus takes no half character: go back to where the last one begins */
        while (n > 0 && text[n] != '\0' && ((unsigned char) text[n] & 0xc0) == 0x80)
                n--;
        memcpy(m->text, text, n);
        m->text[n] = '\0';
}
