/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/sync.h"

#include <poll.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/utf8.h"

typedef struct SyncMessage {
        uint32_t type;
        uint32_t stage;
        int32_t code;             /* of FAILED; the pid of CLONED and START */
        char text[SYNC_TEXT_MAX]; /* sent is what is used of it, without the NUL */
} SyncMessage;

#define SYNC_HEAD_SIZE offsetof(SyncMessage, text)

static const char stage_names[_STAGE_MAX][12] = {
                [STAGE_DOCUMENT] = "document",
                [STAGE_HOOKS] = "hooks",
                [STAGE_NAMESPACES] = "namespaces",
                [STAGE_SYSCTL] = "sysctl",
                [STAGE_SECCOMP] = "seccomp",
                [STAGE_ROOTFS] = "rootfs",
                [STAGE_MOUNTS] = "mounts",
                [STAGE_DEVICES] = "devices",
                [STAGE_MASKS] = "masks",
                [STAGE_TERMINAL] = "terminal",
                [STAGE_USER] = "user",
                [STAGE_CGROUP] = "cgroup",
                [STAGE_PROCESS] = "process",
                [STAGE_EXEC] = "exec",
};

const char *init_stage_to_string(InitStage stage) {
        return stage < _STAGE_MAX ? stage_names[stage] : "init";
}

typedef union FdBuffer {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
} FdBuffer;

static int message_send(int socket_fd, const SyncMessage *m, size_t size, int fd) {
        struct iovec iov = {.iov_base = (void *) m, .iov_len = size};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        FdBuffer control = {};

        if (fd >= 0) {
                control.header = (struct cmsghdr){
                                .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS,
                                .cmsg_len = CMSG_LEN(sizeof(int)),
                };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
                mh.msg_control = &control;
                mh.msg_controllen = sizeof(control);
        }
        while (sendmsg(socket_fd, &mh, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int sync_send(int socket_fd, SyncType type, pid_t pid, int fd) {
        SyncMessage m;

        m.type = type;
        m.stage = 0;
        m.code = pid;
        return message_send(socket_fd, &m, SYNC_HEAD_SIZE, fd);
}

int sync_send_error(int socket_fd, InitStage stage, int code, const Error *e) {
        SyncMessage m;
        int n;

        m.type = SYNC_FAILED;
        m.stage = stage;
        m.code = code;
        n = snprintf(m.text, sizeof(m.text), "%s", e && e->code != 0 ? error_text(e) : "");
        if (n < 0)
                n = 0;
        /* what is longer was cut; the receiver has room for a NUL behind it, and for no more */
        return message_send(socket_fd, &m, SYNC_HEAD_SIZE + MIN_OF((size_t) n, sizeof(m.text) - 1),
                            -1);
}

static int wait_readable(int fd, uint64_t deadline) {
        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int timeout = -1, r;

                if (deadline != UINT64_MAX) {
                        uint64_t now = now_monotonic();

                        timeout = now >= deadline ? 0
                                                  : (int) MIN_OF((deadline - now) / USEC_PER_MSEC +
                                                                                 1,
                                                                 (uint64_t) INT32_MAX);
                }
                r = poll(&p, 1, timeout);
                if (r > 0)
                        return 0;
                if (r == 0 && timeout == 0)
                        return -ETIMEDOUT;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

static int failed(SyncMessage *m, SyncAnswer *ret, Error *e) {
        const char *stage = init_stage_to_string((InitStage) m->stage);

        /* it may name what is in the image */
        utf8_make_printable(m->text);
        ret->failed = true;
        if (m->code == 0)
                return -EBADMSG;
        if (m->text[0] == '\0')
                return error_setf(e, m->code, "%s: %s", stage,
                                  m->code < 0 ? strerror(-m->code) : error_code_to_string(m->code));
        return error_setf(e, m->code, "%s: %s", stage, m->text);
}

int sync_receive(int socket_fd, uint64_t deadline, SyncAnswer *ret, Error *e) {
        FdBuffer control = {};
        SyncMessage m;
        struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m) - 1};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        _cleanup_close_ int fd = -1;
        ssize_t n;
        int r;

        *ret = (SyncAnswer){.fd = -1};
        r = wait_readable(socket_fd, deadline);
        if (r < 0)
                return r;
        mh.msg_control = &control;
        mh.msg_controllen = sizeof(control);
        /* ECONNRESET: it closed with something of ours unread. Said once, before its last words. */
        do
                n = recvmsg(socket_fd, &mh, MSG_CMSG_CLOEXEC);
        while (n < 0 && (errno == EINTR || errno == ECONNRESET));
        if (n < 0)
                return -errno;
        if (n == 0)
                return 0;
        if (mh.msg_controllen >= CMSG_LEN(sizeof(int)) && control.header.cmsg_type == SCM_RIGHTS)
                memcpy(&fd, CMSG_DATA(&control.header), sizeof(int));
        if ((size_t) n < SYNC_HEAD_SIZE || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                return -EBADMSG;
        ((char *) &m)[n] = '\0';
        if (m.type == SYNC_FAILED)
                return failed(&m, ret, e);
        ret->fd = TAKE_FD(fd);
        ret->pid = m.code;
        return (int) m.type;
}
