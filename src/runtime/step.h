/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a clone of the supervisor does on its way to the user's program is a table of steps. It
 * either comes to the table's end or tells of the step that failed, over the socket of sync.h, and
 * exits: 127 or 126 if the program is missing or not executable, 125 else.
 */

#include "runtime/sync.h"

typedef struct Step {
        InitStage stage;
        int (*run)(void *userdata, Error *e);
} Step;

void steps_run(int sync_fd, const Step *steps, size_t n, void *userdata);

/* The exit of a failed step. e may be NULL. */
_noreturn_ void step_fail(int sync_fd, InitStage stage, int code, const Error *e);
