/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/stream.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/clock.h"

#define READ_SIZE 4096U

int stream_out_init(StreamOut *s, int fd) {
        struct stat st;

        assert(s && fd >= 0);

        if (fstat(fd, &st) < 0)
                return -errno;
        /* a pipe that has room for something has room for PIPE_BUF bytes, and waits with the rest;
         * so do terminals and the like, as far as anybody knows */
        *s = (StreamOut){.fd = fd,
                         .piece = S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode) ? SSIZE_MAX
                                                                              : PIPE_BUF,
                         .socket = S_ISSOCK(st.st_mode)};
        return 0;
}

ssize_t stream_out_write(const StreamOut *s, const void *data, size_t size, int timeout_msec) {
        struct pollfd p = {.fd = s->fd, .events = POLLOUT};
        ssize_t n;
        int r;

        r = poll(&p, 1, timeout_msec);
        if (r <= 0)
                return r == 0 || errno == EINTR ? 0 : -errno;
        size = MIN_OF(size, s->piece);
        n = s->socket ? send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                      : write(s->fd, data, size);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        return n;
}

/* Waits until there is something to read, or the end. 0 or -errno. */
static int wait_readable(int fd, uint64_t until) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        sigset_t none;
        int r;

        (void) sigemptyset(&none);
        for (;;) {
                uint64_t now = now_monotonic();
                uint64_t left = until > now ? until - now : 0;
                struct timespec t = {.tv_sec = (time_t) (left / USEC_PER_SEC),
                                     .tv_nsec = (long) (left % USEC_PER_SEC * NSEC_PER_USEC)};

                r = ppoll(&p, 1, &t, &none);
                if (r >= 0)
                        return r > 0 ? 0 : -ETIMEDOUT;
                if (errno != EINTR)
                        return -errno;
        }
}

/* Takes a copy with more room instead of realloc(), which would leave secrets behind. */
static int make_room(char **data, size_t size, size_t *allocated) {
        size_t larger = *allocated > 0 ? *allocated * 2 : READ_SIZE;
        char *copy;

        if (*allocated - size >= 2)
                return 0;
        copy = malloc(larger);
        if (!copy)
                return -ENOMEM;
        if (*data) {
                memcpy(copy, *data, size);
                explicit_bzero(*data, *allocated);
                free(*data);
        }
        *data = copy;
        *allocated = larger;
        return 0;
}

static int read_all(int fd, size_t max, uint64_t until, char **data, size_t *size,
                    size_t *allocated) {
        for (;;) {
                ssize_t n;
                int r;

                r = make_room(data, *size, allocated);
                if (r == 0)
                        r = wait_readable(fd, until);
                if (r < 0)
                        return r;
                n = read(fd, *data + *size, *allocated - *size - 1);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                *size += (size_t) n;
                if (*size > max)
                        return -EFBIG;
        }
}

int fd_read_all_within(int fd, size_t max, uint64_t timeout_usec, char **ret_data,
                       size_t *ret_size) {
        size_t size = 0, allocated = 0;
        char *data = NULL;
        int r;

        assert(fd >= 0 && max < SIZE_MAX / 4 && ret_data && ret_size);

        r = read_all(fd, max, now_monotonic() + timeout_usec, &data, &size, &allocated);
        if (r < 0) {
                if (data)
                        explicit_bzero(data, allocated);
                free(data);
                return r;
        }
        data[size] = '\0';
        *ret_data = data;
        *ret_size = size;
        return 0;
}
