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

/* Allocates the pair. columns and rows may be 0: as the kernel has it. */
int terminal_open(int root_fd, uint16_t columns, uint16_t rows, Terminal *ret, Error *e);

/* Binds the slave on /dev/console, below root_fd. Without make a /dev/console that is missing stays
 * so. */
int terminal_bind_console(int root_fd, const Terminal *t, bool make, Error *e);
