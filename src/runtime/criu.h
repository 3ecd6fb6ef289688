/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One run of the program criu, which dumps and restores processes: a child of the caller, never
 * linked. A clone of the caller prepares the run (documents are read, mounts made, the command line
 * written) and becomes criu, so that none of it costs the caller memory or time.
 *
 * Invariant: nothing here waits; what has to be known afterwards is in the log that criu wrote.
 */

#include <sys/types.h>

#include "basic/error.h"

typedef struct Criu Criu;

/* Called in the clone: makes the argument list, from "criu" on. It may leave descriptors below
 * CRIU_FD_MAX open for criu; all else is to be closed by exec(). */
#define CRIU_FD_MAX 32
typedef int (*CriuPrepare)(void *userdata, char ***ret_arguments, Error *e);

/* CTR_UNAVAILABLE if there is no program criu in $PATH. Nothing is started then. */
int criu_new(CriuPrepare prepare, void *userdata, Criu **ret, Error *e);

/* Kills criu if it still runs; it may have to be reaped as a child that nobody knows. */
Criu *criu_free(Criu *c);
DEFINE_CLEANUP(Criu *, criu_free);

/* Readable when the run is over. */
int criu_pidfd(const Criu *c) _pure_;
pid_t criu_pid(const Criu *c) _pure_;

/* Reaps it. log_fd and log_name: the file that criu wrote, whose first error line becomes the
 * error's text, with log_path as the place to read on. 0; what prepare returned; CTR_UNKNOWN if
 * criu failed; log_path may be NULL. */
int criu_finish(Criu *c, int log_fd, const char *log_name, const char *log_path, Error *e);

/* The first line of a log that tells of an error, without its time: "Error (criu/tty.c:2381): tty:
 * Unable to find a master". NULL if there is none. *ret is allocated. 0, or a negative errno if the
 * log cannot be read. */
int criu_log_first_error(int dir_fd, const char *name, char **ret);

/* Copies the end of a log, at most CRIU_LOG_COPY_MAX bytes, over to_name. */
int criu_log_copy(int dir_fd, const char *name, int to_dir_fd, const char *to_name);

#define CRIU_LOG_COPY_MAX (4U * 1024 * 1024)
