/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The program criu, which dumps and restores processes: run as a helper, never linked.
 *
 * Invariant: nothing here waits; what has to be known afterwards is in the log that criu wrote.
 */

#include "runtime/helper.h"
#include "runtime/spec.h"

/* CTR_UNAVAILABLE if there is no program criu in $PATH. Nothing is started then. */
int criu_new(HelperPrepare prepare, void *userdata, Helper **ret, Error *e);

/* CTR_NOT_IMPLEMENTED for a container of which criu can make, or restore, no checkpoint. */
int criu_check_spec(const Spec *spec, Error *e);

/* Reaps it. log_fd and log_name: the file that criu wrote, whose first error line becomes the
 * error's text, with log_path as the place to read on. 0; what prepare returned; CTR_UNKNOWN if
 * criu failed; log_path may be NULL. */
int criu_finish(Helper *h, int log_fd, const char *log_name, const char *log_path, Error *e);

/* The first line of a log that tells of an error, without its time: "Error (criu/tty.c:2381): tty:
 * Unable to find a master". NULL if there is none. *ret is allocated. 0, or a negative errno if the
 * log cannot be read. */
int criu_log_first_error(int dir_fd, const char *name, char **ret);

/* Copies the end of a log, at most CRIU_LOG_COPY_MAX bytes, over to_name. */
int criu_log_copy(int dir_fd, const char *name, int to_dir_fd, const char *to_name);

#define CRIU_LOG_COPY_MAX (4U * 1024 * 1024)
