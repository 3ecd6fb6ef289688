/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A log program: one that the supervisor runs beside the container to take what a process writes
 * (containerd's "binary" logging). It gets standard output as descriptor 3, standard error as 4,
 * and 5, a pipe to say that it is ready: "binary:" by closing it or writing to it, "binary-v2:" by
 * writing a byte. Its arguments are the keys and values of the URI's query, its environment is
 * CONTAINER_ID and CONTAINER_NAMESPACE.
 *
 * Invariant: a log program can neither hold up the supervisor nor the program whose output it gets:
 * when it is gone that output is dropped. It is given time to read all of it after the end; if it
 * does not end then it gets SIGTERM and, 12 s later, SIGKILL.
 */

#include "basic/error.h"
#include "supervisor/loop.h"

#define LOGGER_READY_USEC (30 * USEC_PER_SEC)

typedef struct Logger Logger;

typedef struct LoggerParameters {
        const char *uri; /* "binary:///path?key=value&...", "binary-v2:///..." */
        const char *id, *namespace;
        const char *oom_score_adj; /* what it gets instead of ours; "": ours */
        /* It is ready, could not become so, or is gone: look. Must not free the logger. */
        void (*changed)(void *userdata);
        void *userdata;
} LoggerParameters;

/* Starts one. pipes: what it reads standard output and error from (-1: an empty stream), taken from
 * on success. CTR_INVALID_ARGUMENT: the URI is malformed; CTR_COMMAND_NOT_FOUND,
 * CTR_COMMAND_NOT_EXECUTABLE: the program. */
int logger_spawn(Loop *loop, const LoggerParameters *parameters, int pipes[static 2], Logger **ret,
                 Error *e);

/* Kills and reaps it if it still lives. */
Logger *logger_free(Logger *l);
DEFINE_CLEANUP(Logger *, logger_free);

/* 1 if it is ready (it may be gone since), 0 if it is not yet, CTR_UNAVAILABLE if it never will. */
int logger_is_ready(const Logger *l, Error *e);

/* Blocks until logger_is_ready() tells, for at most until deadline (CLOCK_MONOTONIC usec;
 * CTR_DEADLINE_EXCEEDED). 0 or an error. */
int logger_wait_ready(Logger *l, uint64_t deadline, Error *e);

/* Nothing more will be written to it. changed() tells when it is gone. */
void logger_end(Logger *l);

bool logger_is_gone(const Logger *l) _pure_;

pid_t logger_pid(const Logger *l) _pure_;
