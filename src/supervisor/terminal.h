/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The master of a task's pseudo terminal, copied from the input stream and to the output stream.
 *
 * Invariant: nothing here ever blocks. Both directions have one bounded buffer; a reader that is
 * slow stops the copying, then the pty fills, then the program waits. A reader that is gone lets
 * the output run into nothing, so that the program never waits for it. The end of the input stream
 * is said by the terminal's end-of-file character, if it is in canonical mode.
 */

#include "supervisor/loop.h"

typedef struct Terminal Terminal;

/* Takes the master, and input and output (each may be -1), also on failure. drained() is called
 * once, after terminal_drain() was called and all output was delivered or dropped; it may be called
 * from within terminal_drain(). */
int terminal_new(Loop *loop, int master, int input, int output, void (*drained)(void *userdata),
                 void *userdata, Terminal **ret);
Terminal *terminal_free(Terminal *t);
DEFINE_CLEANUP(Terminal *, terminal_free);

int terminal_resize(Terminal *t, int columns, int rows);

/* Nothing more is read from the input stream; what was read is still delivered. */
void terminal_close_input(Terminal *t);

/* No process has the terminal any more: deliver what is left. */
void terminal_drain(Terminal *t);

bool terminal_is_drained(const Terminal *t) _pure_;
