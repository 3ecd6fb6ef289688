/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The two names of a copy, and where it goes: what cp(1) and docker cp do. "DIR/." means what is in
 * DIR, a directory that is there takes the source under its own name, another name is the copy's.
 */

#include <limits.h>

#include "basic/error.h"

typedef enum CopyKind {
        COPY_ABSENT,
        COPY_FILE, /* anything but a directory */
        COPY_DIRECTORY,
} CopyKind;

typedef struct CopyEnd {
        char *container; /* NULL: of our machine */
        char *path;      /* "-" of our machine: a tar stream */
} CopyEnd;

/* "CONTAINER:PATH", "PATH" or "-"; what begins with '/' or '.' is always ours. A path of a
 * container that is not absolute is below its root. */
int copy_end_parse(const char *s, CopyEnd *ret, Error *e);
void copy_end_clear(CopyEnd *end);

typedef struct CopyTarget {
        char directory[PATH_MAX]; /* to extract into */
        char as[NAME_MAX + 1];    /* the name there, "" for what is in the source */
} CopyTarget;

/* source and kind are of what is copied, to a target of that kind (COPY_ABSENT: is not there).
 * CTR_FAILED_PRECONDITION where cp(1) would refuse. */
int copy_target(const char *source, CopyKind source_kind, const char *target, CopyKind target_kind,
                CopyTarget *ret, Error *e);
