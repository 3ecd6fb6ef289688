/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What kind of thing a document or a blob is, by the names that OCI (media-types.md) and Docker
 * have for it.
 *
 * Invariant: a kind is known only of media types that are in the table, letter for letter.
 */

#include "basic/error.h"

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

/* What kind of document a media type names. ret_compression (may be NULL) is set for layers. */
MediaKind media_type_kind(const char *media_type, Compression *ret_compression);

/* True for layers that registries must not be given, and that are not to be had from one. */
bool media_type_is_nondistributable(const char *media_type) _pure_;

/* True for a layer that ocicrypt has encrypted: the usual media types with a suffix. */
bool media_type_is_encrypted(const char *media_type) _pure_;

/* The value of the Accept header for a manifest: every media type that we read. */
extern const char media_types_manifest_accept[];

/* Finds out what a document is: from the Content-Type that came with it if that is a specific one
 * (parameters are ignored), else from its own mediaType member; the two must not contradict.
 * *ret_media_type is the one that counts. MEDIA_INDEX or MEDIA_MANIFEST through *ret_kind;
 * CTR_NOT_IMPLEMENTED if it is neither, CTR_INVALID_ARGUMENT for no JSON or a contradiction.
 * data has size bytes; what names it in errors. */
int media_type_identify(const char *data, size_t size, const char *content_type, const char *what,
                        MediaKind *ret_kind, char **ret_media_type, Error *e);
