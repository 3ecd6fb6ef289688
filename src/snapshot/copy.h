/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A copy of a whole tree, with owners, modes, times, extended attributes, hard links, holes and
 * device nodes, and what it takes on the disk. What is copied may have been a container's: names
 * are opened by descriptor, never through a symbolic link.
 *
 * Layers in the form of overlayfs are merged by being copied one upon the other, lowest first: a
 * whiteout takes away what was copied before, and so does an opaque directory.
 */

#include <stdatomic.h>

#include "basic/error.h"

#define COPY_DEPTH_MAX 512

typedef struct CopySource {
        int fd;     /* of the tree's root; stays the caller's */
        bool layer; /* in overlayfs's form; false: it is taken as it is */
} CopySource;

/* Copies the sources, lowest first, to the empty directory to_fd. CTR_CANCELED as soon as *canceled
 * is true, CTR_RESOURCE_EXHAUSTED for a tree that is too deep. */
int tree_copy(const CopySource *sources, size_t n, int to_fd, const atomic_bool *canceled,
              Error *e);

typedef struct TreeUsage {
        uint64_t bytes; /* of blocks */
        uint64_t inodes;
} TreeUsage;

/* What the tree takes; a file with several names counts once. */
int tree_usage(int fd, const atomic_bool *canceled, TreeUsage *ret, Error *e);
