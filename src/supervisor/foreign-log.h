/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What another OCI runtime says about its failure, from the log that it was told to write: lines of
 * JSON with "level" and "msg", in the way of runc.
 */

#include "basic/error.h"

/* Sets e to the last error of the log, after the runtime's name, and returns its code:
 * CTR_COMMAND_NOT_FOUND and CTR_COMMAND_NOT_EXECUTABLE for the container's program, else
 * CTR_UNKNOWN. A log that is missing, or is no such log, leaves what verb and exit status say. */
int foreign_log_error(int dir_fd, const char *name, const char *program, const char *verb,
                      int status, Error *e);
