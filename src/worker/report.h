/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The worker's side of docs/worker-protocol.md: JSON objects over a SOCK_SEQPACKET socket, or lines
 * for people without one. Only the main thread speaks.
 */

#include "worker/job.h"

/* Starts the job in a thread of its own and returns when it is finished: reports progress, asks its
 * questions, cancels it on SIGTERM, SIGINT (which must be blocked) or when the socket is closed,
 * and sends or prints the result of one that ended well. 0, or the error that ended the job. */
int report_run(WorkerJob *j, Error *e);

/* The end of a verb: sends or prints an error, as the last thing. r is 0 or the error's code; what
 * main() returns. */
int report_end(int control_fd, int r, Error *e);
