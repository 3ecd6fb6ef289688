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
#include "image/platform.h"

#define MANIFEST_SIZE_MAX   (4 * 1024 * 1024)
#define MANIFEST_LAYERS_MAX 200
#define INDEX_ENTRIES_MAX   1024
#define BLOB_SIZE_MAX       (UINT64_C(1) << 40)

typedef enum MediaKind {
        MEDIA_UNKNOWN,
        MEDIA_INDEX,
        MEDIA_MANIFEST,
        MEDIA_CONFIG,
        MEDIA_LAYER,
} MediaKind;

typedef enum Compression {
        COMPRESSION_NONE,
        COMPRESSION_GZIP,
        COMPRESSION_ZSTD,
} Compression;

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

/* What kind of document a media type names. ret_compression (may be NULL) is set for layers. */
MediaKind media_type_kind(const char *media_type, Compression *ret_compression);

/* True for layers that registries must not be given, and that are not to be had from one. */
bool media_type_is_nondistributable(const char *media_type) _pure_;

/* The value of the Accept header for a manifest: every media type that we read. */
extern const char media_types_manifest_accept[];

/* Finds out what a document is: from the Content-Type that came with it if that is a specific one
 * (parameters are ignored), else from its own mediaType member; the two must not contradict.
 * *ret_media_type is the one that counts. MEDIA_INDEX or MEDIA_MANIFEST through *ret_kind;
 * CTR_NOT_IMPLEMENTED if it is neither, CTR_INVALID_ARGUMENT for no JSON or a contradiction.
 * data has size bytes; what names it in errors. */
int manifest_identify(const char *data, size_t size, const char *content_type, const char *what,
                      MediaKind *ret_kind, char **ret_media_type, Error *e);

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
