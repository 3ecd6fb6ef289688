/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Private to diff.c, which walks a tree, diff-trees.c, which compares two, and diff-file.c, which
 * writes one file. */

#include <limits.h>

#include "snapshot/diff.h"

typedef struct Diff {
        const DiffOptions *options;
        TarStream *tar;
        TarSink sink;
        void *userdata;
        int lower_fd; /* what the tree is compared with; -1: nothing */
        void *linked; /* files with several names that were written */
        uint64_t entries_left, bytes_left;
        char path[PATH_MAX]; /* of the present entry in the archive; "" is the root */
        char *piece;
        char *attributes; /* names and a value */
} Diff;

#define DIFF_PIECE_SIZE (128U * 1024)
#define DIFF_XATTR_MAX  (64U * 1024)

/* Writes the entry of the root, if it is to have one, and what write adds to that, with d set up.
 */
typedef int (*DiffFunction)(Diff *d, int fd, const struct stat *st, Error *e);
int diff_run(int fd, int lower_fd, const DiffOptions *options, TarSink sink, void *userdata,
             DiffFunction write, Error *e);

/* Counts what is going to be written; CTR_CANCELED, too. */
int diff_count_entry(Diff *d, Error *e);

/* An entry in the directory d->path that is only a name, prefix and name: something is not there.
 * st: of what has its time. */
int diff_write_mark(Diff *d, const char *prefix, const char *name, const struct stat *st, Error *e);

/* CTR_FAILED_PRECONDITION for a name in the directory d->path that would be taken for a mark. */
int diff_check_name(const Diff *d, const char *name, Error *e);

#define DIFF_WHITEOUT ".wh."
#define DIFF_OPAQUE   ".wh..wh..opq"

/* Writes the file behind path_fd under d->path, or as a link to the name that it has already. */
int diff_write_file(Diff *d, int path_fd, const struct stat *st, Error *e);
void diff_linked_free(Diff *d);

/* 0 or CTR_CANCELED. */
int diff_check_canceled(const Diff *d, Error *e);
