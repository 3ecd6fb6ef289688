/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A container that is set up by one process and started by another, which may come much later. In
 * between, init waits alone at a socket with a name in the file system; START and what becomes of
 * it go over a connection as over the pair of sync.h.
 *
 * Invariant: init waits at the socket until somebody really said START; who connects and goes away
 * changes nothing.
 */

#include "runtime/sync.h"

/* Makes the socket dir_fd/name, for container_detach(). The directory is the caller's own. */
int detached_listen(int dir_fd, const char *name, int *ret_fd, Error *e);

/* Starts the container whose init waits at dir_fd/name and has that pid; listener_fd goes with
 * START and stays the caller's, -1 for none. 0 if the program runs (or was killed on the last way
 * to it). Errors as container_start(); CTR_FAILED_PRECONDITION if nobody waits there. The name
 * stays. */
int detached_start(int dir_fd, const char *name, pid_t pid, int listener_fd, uint64_t timeout_usec,
                   Error *e);

/* Called in init: takes listen_fd over, closes all other descriptors from first on, which tells the
 * parent that it may go, and waits. Returns the connection that START came over, and START; exits
 * if it cannot wait. */
int detached_wait(int listen_fd, unsigned first, SyncAnswer *ret_start);
