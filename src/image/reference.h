/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The name of an image as people type it, and what it stands for: registry, repository, tag,
 * digest. "nginx" is "docker.io/library/nginx:latest". The grammar is that of the OCI distribution
 * specification ("Pulling manifests") and of the containers world's references:
 *
 *   [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]
 *
 * The first segment is a registry if it contains '.' or ':' or is "localhost"; otherwise the
 * registry is docker.io, where a repository of one segment belongs to "library/".
 *
 * Invariant: the printed form of a Reference parses to an equal one.
 */

#include "image/digest.h"

#define REFERENCE_DEFAULT_REGISTRY "docker.io"
#define REFERENCE_MAX              512

typedef struct Reference {
        char *registry;   /* "localhost:5000", "docker.io", "[::1]:5000" */
        char *repository; /* "library/nginx" */
        char *tag;        /* "latest"; NULL if only a digest was given */
        bool has_digest;  /* with a tag as well, the digest decides */
        Digest digest;
} Reference;

/* Surrounding white space is ignored. CTR_INVALID_ARGUMENT with a sentence for everything that is
 * not of the grammar, the empty string too. */
int reference_parse(const char *s, Reference *ret, Error *e);

void reference_clear(Reference *r);
#define _cleanup_reference_ _cleanup_(reference_clear)

/* The normal form, "docker.io/library/nginx:latest", "host:5000/a/b:tag@sha256:..."; NULL if out of
 * memory. */
char *reference_to_string(const Reference *r);

/* What people would type: without "docker.io/library/", "docker.io/" and ":latest" where the rest
 * is still read as the same reference. NULL if out of memory. */
char *reference_to_familiar_string(const Reference *r);

/* reference_parse() and reference_to_string() in one: what every image call of the API applies to
 * its argument. */
int reference_normalize(const char *s, char **ret, Error *e);

/* The length of the registry's host in front of a name with a slash, 0 if it has none. */
size_t reference_host_length(const char *name) _pure_;

/* True for localhost, 127.0.0.0/8 and [::1], with or without a port: where plain HTTP is allowed
 * without configuration. */
bool registry_host_is_loopback(const char *registry) _pure_;
