/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/detached.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "basic/clock.h"

#define BACKLOG 4

/* By descriptor, because names of sockets are short. */
static int make_address(int dir_fd, const char *name, struct sockaddr_un *ret) {
        int n;

        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

int detached_listen(int dir_fd, const char *name, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        struct sockaddr_un address;
        int r;

        r = make_address(dir_fd, name, &address);
        if (r < 0)
                return error_setf(e, r, "Failed to make the socket %s: %m", name);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(fd, BACKLOG) < 0)
                return error_setf(e, -errno, "Failed to make the socket %s: %m", name);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int detached_start(int dir_fd, const char *name, pid_t pid, int listener_fd, uint64_t timeout_usec,
                   Error *e) {
        uint64_t now = now_monotonic();
        _cleanup_close_ int fd = -1;
        struct sockaddr_un address;
        SyncAnswer answer;
        int r;

        r = make_address(dir_fd, name, &address);
        if (r < 0)
                return error_setf(e, r, "Failed to find the socket %s: %m", name);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make a socket: %m");
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return errno == ENOENT || errno == ECONNREFUSED
                                       ? error_setf(e, CTR_FAILED_PRECONDITION,
                                                    "No init waits to be started")
                                       : error_setf(e, -errno, "Failed to reach init: %m");
        r = sync_send(fd, SYNC_START, pid, listener_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to start init: %m");
        r = sync_receive(fd, timeout_usec > UINT64_MAX - now ? UINT64_MAX : now + timeout_usec,
                         &answer, e);
        fd_close(answer.fd);
        if (answer.failed || r == 0)
                return r;
        if (r == -ETIMEDOUT)
                return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                  "Timed out waiting for init to execute the program");
        return error_setf(e, r < 0 ? r : -EBADMSG, "Failed to hear from init: %m");
}

int detached_wait(int listen_fd, unsigned first, SyncAnswer *ret_start) {
        if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0)
                _exit(125);
        if (listen_fd != (int) first && dup3(listen_fd, (int) first, O_CLOEXEC) < 0)
                _exit(125);
        if (syscall(SYS_close_range, first + 1, ~0U, 0) < 0)
                _exit(125);
        listen_fd = (int) first;
        for (;;) {
                int fd, r;

                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (fd < 0)
                        _exit(125);
                r = sync_receive(fd, UINT64_MAX, ret_start, NULL);
                if (r == SYNC_START) {
                        fd_close(listen_fd);
                        return fd;
                }
                fd_close(ret_start->fd);
                fd_close(fd);
        }
}
