/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a whole tree changes of another whole tree, found by looking at both: for snapshots that
 * have no directory of their own for what was changed (snapshot/native.h).
 *
 * A file is the same if type, owner, mode, time, extended attributes, and what is in it are; the
 * time alone would not do, as everybody can set it. Files with several names are looked at
 * beforehand: if a name came or became another file's, all names of that file are changes, so that
 * they are found together.
 *
 * Invariant: a directory is told before what is in it, and told if anything in it is.
 */

#include <stdatomic.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "snapshot/changes.h"

typedef struct Difference {
        ChangeKind kind;
        const char *path;      /* relative to the root, never "" */
        int fd;                /* the file; only of a directory it is open. -1: it was deleted */
        const struct stat *st; /* of the file, or of what was deleted */
} Difference;

typedef enum CompareFlags {
        COMPARE_DELETED_FIRST = 1 << 0, /* in each directory; else in the order of the names */
} CompareFlags;

/* 0, or an error that ends the comparison. */
typedef int (*CompareFunction)(void *userdata, const Difference *d, Error *e);

/* Calls f for each difference. Both are open directories; lower_fd -1: there is nothing below, and
 * all is new. CTR_CANCELED, CTR_RESOURCE_EXHAUSTED for trees that are deeper than WALK_DEPTH_MAX or
 * have more files than a layer may have, f's error, -errno. */
int trees_compare(int upper_fd, int lower_fd, CompareFlags flags, const atomic_bool *canceled,
                  CompareFunction f, void *userdata, Error *e);
