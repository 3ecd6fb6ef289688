/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Checkpoints as content: what a dump left in a directory becomes blobs and an index that names
 * them, and an index becomes a directory again (A3.16).
 *
 *   manifests[0]  the directory images/ as a tar file
 *   manifests[1]  the OCI runtime document. The media type ends in "+proto", as in containerd,
 *                 whose readers look for it; the blob is the JSON document itself.
 *   manifests[2]  the image that the container was made from
 *   manifests[3]  what the container changed in its root, as a layer
 */

#include <jansson.h>

#include "worker/store.h"

#define CHECKPOINT_MEDIA_TYPE "application/vnd.containerd.container.criu.checkpoint.criu.tar"
#define CHECKPOINT_CONFIG_MEDIA_TYPE                                                               \
        "application/vnd.containerd.container.checkpoint.config.v1+proto"

/* What the manager left beside images/: {"reference", "snapshot", "os", "architecture", "target":
 * {"mediaType", "digest", "size"}}, and the OCI document. */
#define CHECKPOINT_REQUEST "request.json"
#define CHECKPOINT_CONFIG  "config.json"
#define CHECKPOINT_IMAGES  "images"
#define CHECKPOINT_ROOT    "fs"

/* Stores what is in the directory name of the snapshots (".new-..."). *ret: {type: "result",
 * digest, media_type, size, blobs}. */
int checkpoint_store(const Store *s, const char *name, json_t **ret, Error *e);

/* Extracts the checkpoint that the index names into name/images, and the files that its container
 * had written, if it has them (*ret_root), into name/fs: as an upper directory upon layers (numbers
 * of snapshots, nearest first). CTR_INVALID_ARGUMENT "checkpoint not found in index DIGEST", and
 * for what is not fit to be restored. */
int checkpoint_extract(const Store *s, const char *digest, const char *name, const uint64_t *layers,
                       size_t n_layers, bool *ret_root, Error *e);
