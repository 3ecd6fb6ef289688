/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Descriptors of somebody else, whose O_NONBLOCK is not ours to set: a pipe, a socket, a file, in
 * blocking mode or not. What is written to one, or read from it, waits in poll(2) only, where a
 * time and a cancellation end it.
 */

#include "basic/macro.h"

typedef struct StreamOut {
        int fd;       /* the caller's */
        size_t piece; /* what can be written at once, when poll() says that there is room */
        bool socket;
} StreamOut;

/* Finds out what fd is. 0 or -errno. */
int stream_out_init(StreamOut *s, int fd);

/* Writes some of data when there is room, waiting at most timeout_msec for it. How much was written
 * (0: no room yet), or -errno. */
ssize_t stream_out_write(const StreamOut *s, const void *data, size_t size, int timeout_msec);

/* As fd_read_all(), but -ETIMEDOUT if the end does not come within timeout_usec. Blocked signals
 * whose action is the default one end the process meanwhile. */
int fd_read_all_within(int fd, size_t max, uint64_t timeout_usec, char **ret_data,
                       size_t *ret_size);
