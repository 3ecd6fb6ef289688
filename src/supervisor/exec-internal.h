/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What exec.c (the list of execs, and their ends) and exec-start.c (their beginnings) need of each
 * other.
 */

#include "supervisor/exec.h"

/* The one function that changes the state. */
void exec_set_state(Exec *x, ExecState state);

/* Watches the one descriptor that matters at present. 0 or -ENOMEM. */
int exec_watch(Exec *x, int fd, void (*dispatch)(void *userdata, short revents));

/* ... not any more, and nothing is being started. */
void exec_unwatch(Exec *x);

/* It has ended, or never ran: its output is delivered and its record written. */
void exec_ended(Exec *x, int status);

/* Its pidfd has become readable. */
void exec_on_exit(void *userdata, short revents);

/* A log program has something to tell. */
void exec_on_loggers(void *userdata);

/* STARTING has taken too long. */
void exec_on_start_timer(Exec *x);
