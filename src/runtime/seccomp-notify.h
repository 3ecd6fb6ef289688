/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * SCMP_ACT_NOTIFY: the kernel asks a process outside of the container, the agent, what becomes of a
 * system call, by a descriptor that exists once the filter is loaded. The agent gets it over the
 * unix socket of linux.seccomp.listenerPath, with the container process state of config-linux.md.
 *
 * The filter may hold back any system call from the moment on that it is loaded, those included
 * that it takes to hand over the descriptor. So a second thread hands it over, whom the filter does
 * not hold, and the first one makes no system call until then.
 *
 * Invariant: the program is executed only after the agent's socket has taken everything.
 */

#include <sys/types.h>

#include "runtime/seccomp-filter.h"

/* Connects to an agent, without waiting for one that is slow to accept. CTR_UNAVAILABLE if nobody
 * listens there, with the path and the name of the property. */
int seccomp_notify_connect(const char *path, int *ret_fd, Error *e);

/* The container process state as JSON. document: the container's; state: its state of runtime.md
 * (hooks_state()), pid: of the process that the filter is for, as the host has it. *ret is
 * allocated. 0 or -ENOMEM. */
int seccomp_notify_state(json_t *document, const char *state, pid_t pid, char **ret);

/* Loads a filter that notifies into this thread, and sends its descriptor and the state over
 * socket_fd, which is closed. */
int seccomp_notify_load(const SeccompFilter *p, int socket_fd, const char *state, Error *e);
