/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What plays a program in the doubles of the runtime. Its options, of config.json for init and of
 * "process" for an exec:
 *
 *   exit        exit status of the program
 *   kill        signal that the program ends itself with instead
 *   wait        true: the program waits for a signal; SIGTERM makes it exit with 7
 *   ignore      true: ... and it ignores SIGTERM
 *   leave       true: the program leaves a child behind, which keeps its streams
 *   output      number of bytes it writes to standard output, in lines of 64
 *   error       the same to standard error
 *   cat         true: it copies standard input to standard output until "." begins a line
 *   close       true: it closes its streams
 *   terminal    true: its streams are a pseudo terminal
 *   hang        true: the start is not answered before SIGUSR1
 *   fail        name of a step that fails, with
 *   code        the ErrorCode by name, "Unknown" by default
 */

#include <jansson.h>

#include "basic/error.h"

bool fake_option(json_t *options, const char *key);
int fake_number(json_t *options, const char *key);
int fake_fail_at(json_t *options, const char *step, Error *e);

/* In the child: makes the streams its own (a terminal's slave, or three with -1 for none), keeps
 * barrier as 3 and answer as 4, closes everything else. */
void fake_become(json_t *options, int slave, const int stdio[3], int barrier, int answer);

/* In the child: waits if it shall hang, tells that it executes by closing 4, and runs. */
_noreturn_ void fake_execute(json_t *options);
