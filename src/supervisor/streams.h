/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The standard streams of a process, opened as its launch document says. Without a terminal they
 * are handed straight to the program wherever that is possible: no process copies, and a slow
 * reader slows its own container only. With a terminal they are the far ends that relay.h copies to
 * and from.
 */

#include "supervisor/record.h"

typedef struct Streams {
        int fd[3]; /* what the program gets; with a terminal what it is copied from and to, -1 where
                    * only whoever attaches is served */
        /* The other end of a fifo, held open so that the program sees no end of file and no EPIPE
         * while clients come and go. */
        int keeper[3];
        int relay[3];  /* our ends of the pipes of STDIO_ATTACH; these do not block */
        int logger[3]; /* what log programs (STDIO_BINARY) read from */
} Streams;

#define STREAMS_INIT                                                                               \
        ((Streams){                                                                                \
                        .fd = {-1, -1, -1},                                                        \
                        .keeper = {-1, -1, -1},                                                    \
                        .relay = {-1, -1, -1},                                                     \
                        .logger = {-1, -1, -1},                                                    \
        })

/* Of a TaskLaunch or ExecLaunch, and of the task. */
typedef struct StreamsParameters {
        const StdioKind *kinds;
        char *const *paths;
        bool terminal;
        const char *log_identifier, *unit; /* of lines in the journal */
        uint64_t journal_usec;             /* how long a busy one is waited for */
        bool journal_later; /* without a terminal it is opened by streams_open_journal() */
} StreamsParameters;

/* Opens all three; handed holds what the caller gave for STDIO_FD and is taken from (-1 where it
 * was). Nothing here waits for somebody else, except journal_usec for a busy journal.
 * CTR_UNAVAILABLE: no journal; CTR_INVALID_ARGUMENT: a path or descriptor is not of the kind it
 * should be. */
int streams_open(const StreamsParameters *parameters, int handed[static 3], Streams *ret, Error *e);

/* Opens those that go straight from the program to the journal, to be called in init's network
 * namespace: CRIU cannot write down a socket of another one (ContainerParameters.open_stdio). */
int streams_open_journal(const StreamsParameters *parameters, int fd[static 3], Error *e);

/* Closes what the program has got by now and leaves the rest. */
void streams_close_program_ends(Streams *s);

void streams_close(Streams *s);

/* Connects a stream to the journal (the protocol of systemd-journald's "stdout" socket, what
 * sd_journal_stream_fd() speaks). Lines appear under unit with SYSLOG_IDENTIFIER=identifier and
 * priority. usec: how long a full queue of connections is waited for. The descriptor, or an error
 * as streams_open(). */
int journal_stream_open(const char *path, const char *identifier, const char *unit, int priority,
                        uint64_t usec, int *ret_fd, Error *e);

#define JOURNAL_STREAM_PATH "/run/systemd/journal/stdout"
