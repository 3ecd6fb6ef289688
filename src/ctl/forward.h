/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Standard input, output and error between us and a container. What is no terminal is handed over
 * as it is. A terminal is not: whoever has a descriptor of it can type into our user's shell
 * (TIOCSTI) and read the keyboard, so the container gets a pipe and we copy. Where we are to be
 * able to leave it alone everything is copied: what was handed over cannot be taken back.
 *
 * Invariant: the terminal is as it was before when forward_free() has run.
 */

#include <systemd/sd-event.h>

#include "basic/error.h"
#include "ctl/detach-keys.h"

typedef struct Forward Forward;

typedef enum ForwardFlags {
        FORWARD_STDIN = 1 << 0,    /* else the container reads nothing */
        FORWARD_TERMINAL = 1 << 1, /* it has a terminal of its own: no separate standard error */
        FORWARD_ALL = 1 << 2,      /* hand nothing over, copy all */
        FORWARD_NO_STDOUT = 1 << 3,
        FORWARD_NO_STDERR = 1 << 4,
} ForwardFlags;

/* Prepares the descriptors. Calls changed when one of forward_is_drained(), forward_input_ended()
 * and forward_is_detached() may have become true; f must not be freed in it. */
int forward_new(sd_event *event, ForwardFlags flags, void (*changed)(void *userdata),
                void *userdata, Forward **ret, Error *e);
Forward *forward_free(Forward *f);
DEFINE_CLEANUP(Forward *, forward_free);

/* What the container gets as descriptor i (0 to 2); -1: nothing is passed. */
int forward_fd(const Forward *f, int i) _pure_;

/* Whether that is our pipe, not what we have as descriptor i ourselves. */
bool forward_is_copied(const Forward *f, int i) _pure_;

/* Looks for these keys, which must live as long as f, if standard input is a terminal. */
void forward_detach_on(Forward *f, const DetachKeys *keys);

/* The container has its descriptors: closes ours of them and starts to copy. In raw mode every key
 * goes to the container, if standard input is a terminal. */
int forward_start(Forward *f, bool raw, Error *e);

/* The program has ended: input stops, the terminal gets its mode back, what is still in the pipes
 * is copied. A pipe that somebody else holds open is given up after a bounded time. */
int forward_finish(Forward *f, Error *e);

/* Whether our input was copied to its end. */
bool forward_input_ended(const Forward *f) _pure_;

/* Whether the user typed the keys to detach. */
bool forward_is_detached(const Forward *f) _pure_;

/* Whether all output has been written. */
bool forward_is_drained(const Forward *f) _pure_;

/* Raw mode again, after the process was stopped and continued. */
void forward_continue(Forward *f);

/* The size of our terminal; false if there is none. */
bool forward_terminal_size(unsigned *ret_columns, unsigned *ret_lines);
