/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors that callers send for a worker to read from or to write to: the wrong ones are
 * refused here, and not found out by a job that fails. */

#include <stdbool.h>

#include <systemd/sd-bus.h>

/* Whether a descriptor can be read (or written): no handle (O_PATH), which says nothing about what
 * its owner may do with the file, while the worker may do everything. */
bool fd_is_open_for(int fd, bool write);

/* Whether it is something that has an end when it is read: no directory, and nothing that is only
 * waited for, as an epoll. */
bool fd_is_stream(int fd);

/* 0, or InvalidArgument in error. */
int bus_check_fd(int fd, bool write, sd_bus_error *error);

/* Reads an argument of type h, which lives as long as the message, and checks it. As above, and
 * what sd_bus_message_read() says. */
int bus_read_fd(sd_bus_message *m, bool write, int *ret, sd_bus_error *error);
