/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files between a container and an archive, or what one of them is like: the jobs copy-out,
 * export-root, copy-in and stat-path. The archive may be a pipe that nobody reads or writes.
 */

#include "basic/stream.h"
#include "snapshot/insert.h"
#include "worker/container-root.h"
#include "worker/job.h"

typedef struct CopyOptions {
        InsertOptions insert; /* path and limits are for all kinds */
        bool follow;          /* copy-out, stat-path: a link in the last place is followed */
} CopyOptions;

typedef struct Copy {
        WorkerJob job;
        const CopyOptions *options;
        ContainerRoot root;
        int fd; /* the archive */
        StreamOut out;
        uint64_t bytes; /* of it so far; guarded by the mutex */
        char *buffer;
        json_t *values; /* what the result says besides */
} Copy;

typedef enum CopyKind {
        COPY_OUT,
        COPY_IN,
        COPY_STAT,
        _COPY_KIND_MAX,
} CopyKind;

int copy_init(Copy *c, CopyKind kind, const CopyOptions *options, int control_fd, Error *e);
void copy_clear(Copy *c);

/* fd is the archive: takes it over. */
int copy_set_archive(Copy *c, int fd, Error *e);

/* UTF-8 that shows the bytes of a name: what is none becomes "\xff". NULL if out of memory. */
char *name_to_text(const char *name);
