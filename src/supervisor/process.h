/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What init and an exec have in common once they are processes: standard streams, whoever is
 * attached to them, log programs, and an exit record. Who clones and reaps it is not told here.
 *
 *   process_open()          the streams exist; clients may attach
 *   process_spawn_loggers() log programs run; they are ready when process_loggers_ready() says so
 *   process_set_up()        the program is there, with its terminal if it has one
 *   process_drain()         it has ended: deliver what it wrote, then drained() is called, once,
 *                           after at most 10 s (D14)
 *
 * Invariant: drained() means that clients see the end of the output, and that all of it is with
 * whom it was for, unless somebody did not read in time.
 */

#include "supervisor/logger.h"
#include "supervisor/record.h"
#include "supervisor/relay.h"
#include "supervisor/streams.h"

typedef struct Process {
        Loop *loop;
        bool terminal;
        Streams streams;
        Relay *relay; /* NULL: nothing passes through here */
        Logger *loggers[2];
        ExitRecord record;

        Timer drain_timer;
        bool draining, relay_drained, drained;
        void (*on_loggers)(void *userdata); /* one became ready, failed, or is gone; may be NULL */
        void (*on_drained)(void *userdata);
        void *userdata;
} Process;

/* A process that has nothing yet; to be kept where it is. */
void process_init(Process *p, Loop *loop, void (*on_loggers)(void *userdata),
                  void (*on_drained)(void *userdata), void *userdata);

/* Closes everything and kills log programs that still run. */
void process_clear(Process *p);

/* As streams_open(). */
int process_open(Process *p, const StreamsParameters *parameters, int handed[static 3], Error *e);

/* Runs the log programs that kinds and paths ask for, one if both streams name the same. launch
 * tells whose output it is, oom_score_adj what they get ("": what we have). */
int process_spawn_loggers(Process *p, const TaskLaunch *launch, const StdioKind kinds[static 3],
                          char *const paths[static 3], const char *oom_score_adj, Error *e);

/* 1 if all are ready, 0 if not yet, or an error as logger_is_ready(). */
int process_loggers_ready(const Process *p, Error *e);

/* As logger_wait_ready(), for all. */
int process_wait_loggers(Process *p, uint64_t deadline, Error *e);

bool process_loggers_are_gone(const Process *p) _pure_;

/* Whether pid is a log program of its that has not been reaped. */
bool process_owns(const Process *p, pid_t pid) _pure_;

/* The program has what it gets of the streams. Only for one without a terminal. */
void process_close_program_ends(Process *p);

/* Takes the terminal's master, -1 if there is none; CTR_INVALID_ARGUMENT if the documents disagree
 * about that. */
int process_set_up(Process *p, int master, Error *e);

/* As relay_attach(). */
int process_attach(Process *p, unsigned streams, int *fds, size_t n_fds, Error *e);

int process_resize(Process *p, int columns, int rows);

/* Closes what holds standard input open on our side. A descriptor that was handed straight to the
 * program has its other end at the client. */
void process_close_stdin(Process *p);

void process_drain(Process *p);
