/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Private to apply.c and apply-entry.c: the state of applying one layer, and what makes a file of
 * each type from the archive's current entry. All of it goes through snapshot/tree.h to find its
 * place, so nothing here can leave the tree.
 */

#include "basic/tar-library.h"
#include "snapshot/apply.h"
#include "snapshot/tree.h"

/* A directory's time of modification, which making something in it changes. */
typedef struct DirectoryTime {
        char *path;
        struct timespec mtime;
} DirectoryTime;

typedef struct Apply {
        Tree *tree;
        int root_fd, links_fd;
        char **links; /* as in ApplyResult */
        size_t n_links, allocated_links;
        const ApplyLimits *limits;
        struct archive *archive;
        struct archive_entry *entry; /* the current one */
        char *path;                  /* of it, cleaned */

        ApplySource source;
        void *userdata;
        int source_result; /* libarchive cannot carry our errors */
        bool source_ended;
        uint64_t stream_bytes;

        uint64_t entries, file_bytes, written;
        DirectoryTime *times;
        size_t n_times, allocated_times;
        Error *e;
} Apply;

/* The error behind what libarchive returned; where starts the sentence. */
int apply_archive_failed(Apply *a, const char *where);

/* Each makes a->entry at a->path, with owner, mode, extended attributes and time. */
int apply_directory(Apply *a);
int apply_file(Apply *a, const TreePlace *place);
int apply_hardlink(Apply *a, const char *target);
int apply_special(Apply *a, const TreePlace *place);
