/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A repository at a registry and its mirrors, over the OCI distribution specification. The first
 * request finds out how to speak to each: HTTPS, or plain HTTP where that is allowed (loopback, or
 * configured as insecure) and HTTPS is not spoken. What one of them does not have or cannot give is
 * asked of the next, and the error is that of the last one, the registry itself. What may be cured
 * by waiting (429, 5xx, a cut connection) is tried again a few times, with growing pauses or after
 * the time that the server names (Retry-After, at most a minute).
 *
 * A Registry is shared by threads; each thread brings its own connection (Http).
 * Invariant: what comes from here is bounded in size but not verified; who asked knows the digest.
 */

#include <jansson.h>
#include <stdatomic.h>

#include "image/credentials.h"
#include "image/http.h"
#include "image/registries.h"

typedef struct Registry Registry;

/* Copies what it needs of the endpoints and reads the certificates for them; registries (which tell
 * the hosts that may be led to in plain HTTP), credentials and canceled, each of which may be NULL,
 * must outlive it. */
int registry_new(const RegistryEndpoints *endpoints, const Registries *registries,
                 const Credentials *credentials, const atomic_bool *canceled, Registry **ret,
                 Error *e);
Registry *registry_free(Registry *r);
DEFINE_CLEANUP(Registry *, registry_free);

/* Fetches a manifest or index by tag or digest: at most max bytes, NUL-terminated. *ret_media_type
 * is the Content-Type (NULL if there was none). CTR_NOT_FOUND, CTR_PERMISSION_DENIED,
 * CTR_UNAVAILABLE, CTR_RESOURCE_EXHAUSTED if it is larger than max. */
int registry_get_manifest(Registry *r, Http *http, const char *tag_or_digest, size_t max,
                          char **ret_data, size_t *ret_size, char **ret_media_type, Error *e);

/* Asks for the digest of what a tag names, without fetching more than its manifest; mostly not even
 * that. Errors as above. */
int registry_resolve(Registry *r, Http *http, const char *tag, size_t max, Digest *ret, Error *e);

/* Fetches a blob from offset on into body. A connection that is cut is taken up again
 * from where it stopped, a few times; each piece is given to body exactly once and in order. Errors
 * as above. It is no error of this function if the server sends less or more. */
int registry_get_blob(Registry *r, Http *http, const Digest *digest, uint64_t offset, HttpBody body,
                      void *userdata, Error *e);

/* The registry of a search has one endpoint, which registries_lookup_host() says, and the term in
 * place of a repository. */
typedef struct RegistrySearch {
        const char *host;  /* as people call it: what the names that are found begin with */
        const char *path;  /* of the repositories at the endpoint; "": none */
        const char *term;  /* "": all */
        size_t max;        /* so many */
        uint64_t deadline; /* now_monotonic() at which it ends, whatever is found; 0: none */
} RegistrySearch;

/* Finds repositories whose names have the term in them: by the search of the registry, which may
 * look at descriptions, too, or where it has none by its catalog, of which the first 10,000 names
 * count. Appends to found an object {name, description, stars, official} for each; name is that of
 * an image without its tag, whatever the registry sent. Errors as above, and CTR_DEADLINE_EXCEEDED.
 */
int registry_search(Registry *r, Http *http, const RegistrySearch *search, json_t *found, Error *e);

/* Pushing goes to the registry itself, never to a mirror. */

/* Says beforehand that there will be pushing, and from which other repositories (may be NULL) blobs
 * may be taken over: one token for all of it is asked for. Before there are threads. */
int registry_will_push(Registry *r, char *const *from);

typedef enum RegistryBlob {
        REGISTRY_BLOB_MISSING,
        REGISTRY_BLOB_EXISTS,
        REGISTRY_BLOB_MOUNTED,
} RegistryBlob;

/* Asks for a blob; one that is not there is taken over from another of the registry's repositories
 * (from, may be NULL) where that is possible. */
int registry_find_blob(Registry *r, Http *http, const Digest *digest, char *const *from,
                       RegistryBlob *ret, Error *e);

typedef struct RegistryUpload {
        const Digest *digest;
        int fd; /* of the blob, read with pread() */
        uint64_t size;
        uint64_t chunk;              /* bytes of one piece; 0: all in one */
        atomic_uint_least64_t *sent; /* follows the progress; may be NULL */
} RegistryUpload;

/* Uploads a blob, which the registry checks. What failed on the way is tried again: from where the
 * registry says that it has got to, or, where it is all in one piece, from the start. */
int registry_put_blob(Registry *r, Http *http, const RegistryUpload *upload, Error *e);

/* Puts a manifest or index under a tag or its digest. */
int registry_put_manifest(Registry *r, Http *http, const char *tag_or_digest,
                          const char *media_type, const char *data, size_t size, Error *e);
