/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The container's terminal: a pair from the container's own devpts instance, so that its name is
 * right inside and the host's terminals stay out of reach.
 */

#include "basic/error.h"

typedef struct Terminal {
        int master_fd; /* for the supervisor */
        int slave_fd;  /* for the program */
} Terminal;

/* Allocates the pair and binds the slave on /dev/console, below root_fd. columns and rows may be 0:
 * as the kernel has it. Without make_console a /dev/console that is missing stays so. */
int terminal_make(int root_fd, uint16_t columns, uint16_t rows, bool make_console, Terminal *ret,
                  Error *e);
