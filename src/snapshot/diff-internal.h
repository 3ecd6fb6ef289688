/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Private to diff.c, which walks, and diff-file.c, which writes one file. */

#include <limits.h>

#include "snapshot/diff.h"

typedef struct Diff {
        const DiffOptions *options;
        TarStream *tar;
        TarSink sink;
        void *userdata;
        void *linked; /* files with several names that were written */
        uint64_t entries_left, bytes_left;
        char path[PATH_MAX]; /* of the present entry in the archive; "" is the root */
        char *piece;
        char *attributes; /* names and a value */
} Diff;

#define DIFF_PIECE_SIZE (128U * 1024)
#define DIFF_XATTR_MAX  (64U * 1024)

/* Writes the file behind path_fd under d->path, or as a link to the name that it has already. */
int diff_write_file(Diff *d, int path_fd, const struct stat *st, Error *e);
void diff_linked_free(Diff *d);

/* 0 or CTR_CANCELED. */
int diff_check_canceled(const Diff *d, Error *e);
