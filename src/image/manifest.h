/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Image manifests and indexes, of OCI (manifest.md, image-index.md) and of Docker (schema 2 and
 * manifest list), which differ in the names of their media types only.
 *
 * Invariant: a parsed document has only descriptors with a digest we can verify and a size in
 * bounds; what it refers to has been neither fetched nor checked.
 */

#include "image/digest.h"
#include "image/media-type.h"
#include "image/platform.h"

#define MANIFEST_SIZE_MAX   (4 * 1024 * 1024)
#define MANIFEST_LAYERS_MAX 200
#define INDEX_ENTRIES_MAX   1024
#define BLOB_SIZE_MAX       (UINT64_C(1) << 40)

typedef struct Descriptor {
        char *media_type;
        Digest digest;
        uint64_t size;     /* bytes */
        bool has_platform; /* in an index */
        Platform platform;
} Descriptor;

typedef struct Manifest {
        char *media_type;
        Descriptor config;
        Descriptor *layers; /* bottom first */
        size_t n_layers;
} Manifest;

typedef struct Index {
        char *media_type;
        Descriptor *manifests;
        size_t n_manifests;
} Index;

/* CTR_INVALID_ARGUMENT with the JSON path of what is wrong; CTR_NOT_IMPLEMENTED for a config or
 * layer of a media type that is no container image's (an artifact). */
int manifest_parse(const char *data, size_t size, const char *media_type, const char *what,
                   Manifest **ret, Error *e);

/* The same for whatever an artifact's config and layers are: to carry it, not to run it. */
int manifest_parse_artifact(const char *data, size_t size, const char *media_type, const char *what,
                            Manifest **ret, Error *e);
Manifest *manifest_free(Manifest *m);
DEFINE_CLEANUP(Manifest *, manifest_free);

int index_parse(const char *data, size_t size, const char *media_type, const char *what,
                Index **ret, Error *e);
Index *index_free(Index *i);
DEFINE_CLEANUP(Index *, index_free);

/* The entry for a platform: the best variant, among equals the first. CTR_NOT_FOUND with the
 * platforms that there are. *ret lives as long as the index. */
int index_choose(const Index *i, const Platform *platform, const char *what, const Descriptor **ret,
                 Error *e);

/* Copies source into an empty target. */
int descriptor_copy(Descriptor *target, const Descriptor *source);
void descriptor_clear(Descriptor *d);
