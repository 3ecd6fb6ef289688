/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A repository at a registry, over the pull part of the OCI distribution specification. The first
 * request finds out how to speak to it: HTTPS, or plain HTTP where that is allowed (loopback, or
 * configured as insecure) and HTTPS is not spoken.
 *
 * A Registry is shared by threads; each thread brings its own connection (Http).
 * Invariant: what comes from here is bounded in size but not verified; who asked knows the digest.
 */

#include "image/http.h"
#include "image/registries.h"

typedef struct Registry Registry;

/* Takes over nothing; copies what it needs of the endpoint. canceled may be NULL. */
int registry_new(const RegistryEndpoint *endpoint, const atomic_bool *canceled, Registry **ret,
                 Error *e);
Registry *registry_free(Registry *r);
DEFINE_CLEANUP(Registry *, registry_free);

/* Fetches a manifest or index by tag or digest: at most max bytes, NUL-terminated. *ret_media_type
 * is the Content-Type (NULL if there was none). CTR_NOT_FOUND, CTR_PERMISSION_DENIED,
 * CTR_UNAVAILABLE, CTR_RESOURCE_EXHAUSTED if it is larger than max. */
int registry_get_manifest(Registry *r, Http *http, const char *tag_or_digest, size_t max,
                          char **ret_data, size_t *ret_size, char **ret_media_type, Error *e);

/* Fetches a blob from offset on into body. A connection that is cut is taken up again
 * from where it stopped, a few times; each piece is given to body exactly once and in order. Errors
 * as above. It is no error of this function if the server sends less or more. */
int registry_get_blob(Registry *r, Http *http, const Digest *digest, uint64_t offset, HttpBody body,
                      void *userdata, Error *e);
