/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What of a process's standard streams passes through the supervisor: the master of its pseudo
 * terminal, or pipes, copied to and from whoever is attached. A terminal may have an input and an
 * output stream from the beginning, which clients attach besides.
 *
 * Invariant: attaching and detaching change nothing for the program. It never waits for nobody, it
 * sees no end of its input before relay_close_input(), and output that nobody is attached to is
 * dropped. A reader that is slow stops the copying, then the pipe or terminal fills, then the
 * program waits. The end of input is said by a terminal's end-of-file character, if it is in
 * canonical mode.
 */

#include "basic/error.h"
#include "supervisor/loop.h"

#define RELAY_ATTACHED_MAX 16U /* of each stream */

typedef struct Relay Relay;

/* drained() is called once, after relay_drain() was called and all output was delivered or dropped;
 * it may be called from within relay_drain(), and may free the relay. */
int relay_new(Loop *loop, bool terminal, void (*drained)(void *userdata), void *userdata,
              Relay **ret);
Relay *relay_free(Relay *relay);
DEFINE_CLEANUP(Relay *, relay_free);

/* The streams of a terminal: where clients' input comes from and output goes to besides what is
 * attached. Each may be -1; taken, also on failure. One whose other end is gone is done without. */
int relay_set_streams(Relay *relay, int input, int output);

/* The terminal's master, as soon as there is one. Takes it, also on failure. */
int relay_set_master(Relay *relay, int master);

/* Our ends of the pipes of a process without a terminal: input's is written to, the others are read
 * from. Each may be -1; taken, also on failure. They must not block. */
int relay_set_pipes(Relay *relay, int pipes[static 3]);

/* Attaches a client: streams are SUPERVISOR_ATTACH_*, fds one descriptor for each, pipes, sockets
 * or terminals; they are taken on success. CTR_FAILED_PRECONDITION: a stream does not pass through
 * here, or its end has come; CTR_INVALID_ARGUMENT: a descriptor does not fit;
 * CTR_RESOURCE_EXHAUSTED: there are too many. All or nothing. */
int relay_attach(Relay *relay, unsigned streams, int *fds, size_t n_fds, Error *e);

int relay_resize(Relay *relay, int columns, int rows);

/* No client shall write any more: what the attached ones have sent is still delivered, then the
 * program sees the end as soon as all of them are gone. A stream that a terminal had from the
 * beginning is closed at once and says nothing. */
void relay_close_input(Relay *relay);

/* The process has ended: deliver what it has written. What others write who got the streams from it
 * is not waited for. */
void relay_drain(Relay *relay);
