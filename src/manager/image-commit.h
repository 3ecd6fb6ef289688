/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a worker has brought becomes layers and images. A worker says of an image what a pull does
 * (docs/worker-protocol.md): digests, blobs that are in the content store, and layers with the
 * directories in which they were extracted.
 *
 * Invariant: all images of one commit, with all their layers, are there after it, or none.
 */

#include "manager/image.h"

typedef struct ImageResult {
        const char *name;    /* normalised */
        json_t *result;      /* what the worker said of it */
        const char *lease;   /* holds the image, too; NULL: none does */
        json_t *labels;      /* NULL: those that it has, none for a new one */
        bool unpacked;       /* the result's layers are all there */
        bool discard_layers; /* blobs of layers are needed by this image no longer */
} ImageResult;

/* One transaction; then the objects are made or changed. An image of that name is replaced, and
 * what only the old one needed is collected. Names for one result follow each other. */
int images_commit(Manager *m, const char *namespace, const ImageResult *results, size_t n,
                  Error *e);
