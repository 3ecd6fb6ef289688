/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The local half of a copy, in a child process: it packs or unpacks while the job of the service
 * does the other half at the other end of a pipe.
 */

#include "ctl/tar.h"

typedef struct CopyChild {
        pid_t pid;
        int result_fd;
} CopyChild;

/* What the child does: with a path it packs that, else it unpacks into dir_fd. */
typedef struct CopyWork {
        const char *path;
        int dir_fd;
        const char *as;
        TarFlags flags;
} CopyWork;

/* Starts it. *ret_fd is the end of the pipe that the service gets; closing it ends the child. */
int copy_child_start(const CopyWork *work, CopyChild *ret, int *ret_fd, Error *e);

/* Waits for its end, and returns its error. */
int copy_child_wait(CopyChild *child, Error *e);
