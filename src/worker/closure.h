/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All that a manifest or index of the content store refers to, each thing once: what a push sends
 * and an export writes. Of an index it is the image for one platform, in the index's place, or
 * everything.
 *
 * Invariant: every document and blob was in the store, and the documents were verified.
 */

#include "image/manifest.h"

#define CLOSURE_DEPTH_MAX     4 /* of indexes */
#define CLOSURE_DOCUMENTS_MAX 4096
#define CLOSURE_BLOBS_MAX     8192

typedef struct Closure {
        int content_fd; /* the caller's */
        Platform platform;
        bool all_platforms;

        Descriptor *documents; /* children before those that name them */
        size_t n_documents;
        Descriptor *blobs; /* layers and configs; without layers that may not be distributed */
        size_t n_blobs;
} Closure;

/* Adds what a digest names. *ret is its descriptor: of the image that was chosen from an index,
 * too. It lives until the next call. CTR_NOT_FOUND if something is not in the store, CTR_DATA_LOSS.
 */
int closure_add(Closure *c, const Digest *target, const Descriptor **ret, Error *e);

void closure_clear(Closure *c);
