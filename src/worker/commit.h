/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One commit: a container becomes an image. Each of its upper directories (one, and one more for
 * each version) is a layer on top of the image that it was made from, and the new image is pulled
 * out of the store like an imported one: so what is extracted went the way of every other layer. A
 * container whose snapshots are whole trees has no upper directories: each tree is compared with
 * the one below it, the lowest with the layers of the image.
 *
 * Nothing is in the store before all of it is complete. The first phase, "diff", is the only one
 * that looks at the container's files: afterwards it may go on.
 */

#include "worker/container-root.h"
#include "worker/pull.h"

#define COMMIT_LAYERS_MAX 64U

typedef struct CommitOptions {
        PullOptions pull;
        Digest base;         /* manifest of the image below */
        ContainerRoot own;   /* the container's layers, topmost first */
        ContainerRoot lower; /* those of the image, where the own ones are whole trees */
        Compression compression;
        json_t *request; /* see docs/worker-protocol.md */
} CommitOptions;

/* A layer that was made. */
typedef struct CommitLayer {
        Ingest *ingest;
        Digest diff_id;
} CommitLayer;

typedef struct Commit {
        WorkerJob job;
        Store store;
        const CommitOptions *options;
        json_t *config, *manifest;             /* of the new image, as far as they are known */
        CommitLayer layers[COMMIT_LAYERS_MAX]; /* bottom first */
        Pull *pull; /* NULL: not begun; guarded by the mutex, as what follows */
        bool diffed;
        uint64_t bytes; /* of the uncompressed layers */
} Commit;

int commit_init(Commit *c, const CommitOptions *options, int control_fd, Error *e);
void commit_clear(Commit *c);

/* commit-config.c: reads the documents of the image below, and changes the config as the request
 * says. CTR_NOT_FOUND if they are not in the store. */
int commit_read_base(Commit *c, Error *e);
/* Adds a layer to both. */
int commit_add_layer(Commit *c, const CommitLayer *layer, Error *e);
