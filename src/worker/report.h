/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The worker's side of docs/worker-protocol.md: JSON objects over a SOCK_SEQPACKET socket, or lines
 * for people without one. Only the main thread speaks.
 */

#include "worker/pull.h"

/* Starts the job in a thread of its own and returns when it is finished: reports progress and the
 * plan, takes `have`, and cancels the job on SIGTERM, SIGINT (which must be blocked) or when the
 * socket is closed. 0, or the error that ended the job. */
int report_run(Pull *p, Error *e);

/* Sends or prints the result of a finished job without error. */
int report_result(Pull *p, Error *e);

/* Sends or prints an error, as the last thing. */
void report_error(int control_fd, const Error *e);
