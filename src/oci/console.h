/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The container's terminal, as the master's descriptor: for the program that listens on
 * --console-socket, or between it and our own.
 */

#include "basic/error.h"

/* Sends the master to the unix socket at path, as conmon and containerd expect it. */
int console_send(const char *path, int master_fd, Error *e);

/* Stays with a process until it ends: signals that we get go to it, and with a terminal (master_fd,
 * else -1) our standard streams are connected to that. console_block_signals() comes before the
 * process is made. *ret_status is its exit status as pidfd_wait() has it. */
int console_block_signals(int *ret_signal_fd, Error *e);
int console_stay(int pidfd, int master_fd, int signal_fd, int *ret_status, Error *e);
