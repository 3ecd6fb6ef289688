/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One function per request, in two files: request.c has the table and what is about the task,
 * request-process.c what is about one of its processes. Each returns 0, a negative errno or an
 * ErrorCode with a text, which the reply carries, unless it deferred the reply.
 */

#include "supervisor/supervisor.h"

typedef int (*RequestHandler)(Supervisor *s, Request *q, Error *e);

int request_signal(Supervisor *s, Request *q, Error *e);
int request_resize(Supervisor *s, Request *q, Error *e);
int request_close_stdin(Supervisor *s, Request *q, Error *e);
int request_attach(Supervisor *s, Request *q, Error *e);
int request_exec_add(Supervisor *s, Request *q, Error *e);
int request_exec_start(Supervisor *s, Request *q, Error *e);
int request_exec_delete(Supervisor *s, Request *q, Error *e);
int request_exec_state(Supervisor *s, Request *q, Error *e);
