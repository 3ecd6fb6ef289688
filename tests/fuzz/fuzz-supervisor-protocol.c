/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One packet as anybody could send it to a supervisor: it is refused, or it is a message that goes
 * through another socket unchanged. The first byte says how many descriptors come along. */

#include <sys/socket.h>

#include "supervisor/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_packet(int fd, const uint8_t *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(8 * sizeof(int))];
        } control = {};
        struct iovec iov = {.iov_base = (void *) data, .iov_len = size};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n_fds > 0) {
                struct cmsghdr *c;

                mh.msg_control = &control;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&mh);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
        }
        if (sendmsg(fd, &mh, 0) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int pair[2], fds[SUPERVISOR_MESSAGE_FDS_MAX];
        SupervisorMessage m, again;

        if (size < 2 || size > 2 * sizeof(SupervisorMessage))
                return 0;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
        send_packet(pair[0], data + 1, size - 1, data[0] % 9);
        if (supervisor_message_receive(pair[1], &m, fds) > 0) {
                if (supervisor_message_send(pair[0], &m, fds, data[0] % 9) < 0 ||
                    supervisor_message_receive(pair[1], &again, NULL) != 1)
                        abort();
                if (memcmp(&m, &again, size - 1) != 0)
                        abort();
        }
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fd_close(fds[i]);
        fd_close(pair[0]);
        fd_close(pair[1]);
        return 0;
}
