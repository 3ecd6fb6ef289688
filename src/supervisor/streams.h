/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A task's standard streams, opened as the launch document says. Without a terminal they are handed
 * straight to the program: no process copies, and a slow reader slows its own container only. With
 * a terminal they are the far ends that terminal.h copies to and from.
 */

#include "supervisor/record.h"

typedef struct Streams {
        int fd[3];
        /* The other end of a fifo, held open so that the program sees no end of file and no EPIPE
         * while clients come and go. */
        int keeper[3];
} Streams;

#define STREAMS_INIT                                                                               \
        ((Streams){                                                                                \
                        .fd = {-1, -1, -1},                                                        \
                        .keeper = {-1, -1, -1},                                                    \
        })

/* Opens all three, but a journal only with a terminal (see streams_open_journal()); handed holds
 * what the caller gave for STDIO_FD and is taken from (-1 where it was). Nothing here waits for
 * somebody else, except up to 5 s for a busy journal. CTR_UNAVAILABLE: no journal;
 * CTR_INVALID_ARGUMENT: a path is not of the kind it should be; CTR_NOT_IMPLEMENTED: STDIO_BINARY.
 */
int streams_open(const TaskLaunch *launch, int handed[static 3], Streams *ret, Error *e);

/* Opens those that go straight from the program to the journal: to be called in the program's
 * network namespace, see ContainerParameters. */
int streams_open_journal(const TaskLaunch *launch, int fd[static 3], Error *e);

/* Closes what the program has got by now and leaves the keepers. */
void streams_close_program_ends(Streams *s);

void streams_close(Streams *s);

/* Connects a stream to the journal (the protocol of systemd-journald's "stdout" socket, what
 * sd_journal_stream_fd() speaks). Lines appear under unit with SYSLOG_IDENTIFIER=identifier and
 * priority. The descriptor, or an error as streams_open(). */
int journal_stream_open(const char *path, const char *identifier, const char *unit, int priority,
                        int *ret_fd, Error *e);

#define JOURNAL_STREAM_PATH "/run/systemd/journal/stdout"
