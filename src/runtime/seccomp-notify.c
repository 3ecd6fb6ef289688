/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/seccomp-notify.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include "basic/json.h"

#define STACK_SIZE       (64U * 1024)
#define SEND_TIMEOUT_SEC 10
#define PENDING          INT_MAX

int seccomp_notify_connect(const char *path, int *ret_fd, Error *e) {
        const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_SEC};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.seccomp.listenerPath: longer than a socket's name may be");
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make a socket: %m");
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "linux.seccomp.listenerPath: Failed to connect to %s: %m", path);
        /* what is sent may be larger than the socket's buffer */
        if (fcntl(fd, F_SETFL, 0) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return error_setf(e, -errno, "Failed to set up a socket: %m");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int seccomp_notify_state(json_t *document, const char *state, pid_t pid, char **ret) {
        json_t *seccomp = json_object_get(json_object_get(document, "linux"), "seccomp");
        json_t *metadata = json_object_get(seccomp, "listenerMetadata");
        _cleanup_json_ json_t *j = NULL, *container = json_loads(state, 0, NULL);

        j = json_pack("{s:O, s:[s], s:i, s:O}", "ociVersion",
                      json_object_get(document, "ociVersion"), "fds", "seccompFd", "pid", (int) pid,
                      "state", container);
        if (!j || (json_is_string(metadata) && json_object_set(j, "metadata", metadata) < 0))
                return -ENOMEM;
        return json_to_text(j, ret);
}

/* What the two threads share. */
typedef struct Handover {
        atomic_int listener_fd; /* PENDING: not loaded yet; negative: it could not be */
        atomic_int result;      /* PENDING: not sent yet */
        int socket_fd;
        const char *state;
} Handover;

/* The descriptor goes with the first part. */
static int send_state(int socket_fd, int listener_fd, const char *state) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        size_t size = strlen(state), sent = 0;

        control.header = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(int)),
        };
        memcpy(CMSG_DATA(&control.header), &listener_fd, sizeof(int));
        while (sent < size) {
                struct iovec iov = {.iov_base = (char *) state + sent, .iov_len = size - sent};
                struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
                ssize_t n;

                if (sent == 0) {
                        m.msg_control = &control;
                        m.msg_controllen = sizeof(control);
                }
                n = sendmsg(socket_fd, &m, MSG_NOSIGNAL);
                if (n < 0 && errno != EINTR)
                        return -errno;
                sent += n > 0 ? (size_t) n : 0;
        }
        return 0;
}

/* On a stack of its own and with the thread-local storage of the first thread, which does not use
 * it meanwhile. Its end is the thread's. */
__attribute__((no_sanitize("address"))) static int hand_over(void *userdata) {
        Handover *h = userdata;
        int fd, r = 0;

        while ((fd = atomic_load(&h->listener_fd)) == PENDING)
                (void) sched_yield();
        if (fd >= 0) {
                r = send_state(h->socket_fd, fd, h->state);
                (void) close(h->socket_fd);
        }
        atomic_store(&h->result, r);
        return 0;
}

static int start_thread(Handover *h) {
        char *stack;

        stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
                return -errno;
        /* it goes with this process's memory, at execve() */
        return clone(hand_over, stack + STACK_SIZE,
                     CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                     CLONE_SYSVSEM,
                     h) < 0
                               ? -errno
                               : 0;
}

int seccomp_notify_load(const SeccompFilter *p, int socket_fd, const char *state, Error *e) {
        struct sock_fprog program = {.len = (unsigned short) p->n, .filter = p->filter};
        Handover h = {
                        .listener_fd = PENDING,
                        .result = PENDING,
                        .socket_fd = socket_fd,
                        .state = state,
        };
        unsigned flags = p->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
        int r;

        /* there is no thread but the one that it must not hold */
        flags &= ~(unsigned) SECCOMP_FILTER_FLAG_TSYNC;
        r = start_thread(&h);
        if (r < 0)
                return error_setf(e, r, "Failed to start a thread: %m");
        r = (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        if (r < 0)
                r = -errno;
        atomic_store(&h.listener_fd, r);
        /* no system call from here on; the other one makes a few, none of which waits long */
        while (atomic_load(&h.result) == PENDING)
                ;
        if (r < 0)
                return error_setf(e, r, "Failed to load the seccomp filter: %m");
        r = atomic_load(&h.result);
        return r < 0 ? error_setf(e, r,
                                  "Failed to send the container process state to "
                                  "linux.seccomp.listenerPath: %m")
                     : 0;
}
