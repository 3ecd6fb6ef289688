/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs that run as a WorkerJob read from their command line in the same way. */

#include "snapshot/apply.h"

/* A descriptor that we were given, 3 or more; it is made close-on-exec. CTR_INVALID_ARGUMENT names
 * the option. */
int option_fd(const char *name, const char *value, int *ret, Error *e);

/* The same for --control-fd: it must be a SOCK_SEQPACKET socket. */
int option_control_fd(const char *value, int *ret, Error *e);

/* --limit=NAME=VALUE: entries, bytes, xattr-bytes or xattr-count of one layer. */
int option_limit(const char *value, ApplyLimits *limits, Error *e);

/* What getopt_long() did not understand. */
int option_unknown(Error *e);

/* SIGTERM and SIGINT are read from a descriptor (worker/report.h); threads inherit the mask. */
void block_signals(void);
