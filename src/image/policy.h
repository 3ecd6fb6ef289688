/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which images may come in, by the policy that podman, skopeo and buildah share:
 * containers-policy.json(5), read from /etc/containers/policy.json, or from $CTR_SIGNATURE_POLICY.
 * A scope of it has a list of requirements, all of which must be met.
 *
 * Without the file everything is accepted. One that is there counts in all of its parts: what
 * cannot be read refuses everything, and a requirement that we cannot check (GPG signatures,
 * keyless ones of sigstore) refuses what is in its scope. Nothing is ever left out silently.
 *
 * Invariant: a Policy has a default scope, and no scope is without a requirement.
 */

#include "image/reference.h"

#define POLICY_TEXT_SIZE 512

typedef enum PolicyKind {
        POLICY_ACCEPT,      /* insecureAcceptAnything */
        POLICY_REJECT,      /* reject */
        POLICY_SIGSTORE,    /* sigstoreSigned */
        POLICY_UNSUPPORTED, /* what, is in `unsupported` */
} PolicyKind;

/* What a signature has to say of an image's name (signedIdentity). */
typedef enum IdentityKind {
        IDENTITY_REPOSITORY_DIGEST_OR_EXACT, /* matchRepoDigestOrExact, the default */
        IDENTITY_EXACT,                      /* matchExact */
        IDENTITY_REPOSITORY,                 /* matchRepository */
        IDENTITY_EXACT_REFERENCE,            /* exactReference */
        IDENTITY_EXACT_REPOSITORY,           /* exactRepository */
        IDENTITY_REMAP,                      /* remapIdentity */
        _IDENTITY_KIND_MAX,
} IdentityKind;

typedef struct PolicyIdentity {
        IdentityKind kind;
        Reference reference;          /* of the kinds that name one */
        char *prefix, *signed_prefix; /* of remapIdentity */
} PolicyIdentity;

typedef struct PolicyRequirement {
        PolicyKind kind;
        char *unsupported;
        char **key_files; /* paths of public keys in PEM, any of which may have signed ... */
        char **keys;      /* ... or the keys themselves */
        PolicyIdentity identity;
} PolicyRequirement;

typedef struct PolicyScope {
        char *transport; /* "docker", "oci-archive" ...; NULL: the default */
        char *name;      /* "localhost:5000/a", "*.example.com"; "" for all of a transport */
        PolicyRequirement *requirements;
        size_t n_requirements;
} PolicyScope;

typedef struct Policy Policy;

/* Reads the file. *ret is NULL if there is none. CTR_FAILED_PRECONDITION for one that is damaged,
 * that cannot be read, or that $CTR_SIGNATURE_POLICY names and that is not there. */
int policy_load(Policy **ret, Error *e);
/* The same of a text; file names it in errors. */
int policy_parse(const char *text, size_t size, const char *file, Policy **ret, Error *e);
Policy *policy_free(Policy *p);
DEFINE_CLEANUP(Policy *, policy_free);

const char *policy_file(const Policy *p) _pure_;

/* The scope that counts for an image of a registry: the one named by all of the reference, else by
 * the longest part of its repository, its host, a wildcard for the host, the transport, the
 * default. NULL without memory. */
const PolicyScope *policy_find_reference(const Policy *p, const Reference *reference);

/* The scope that counts for an archive, of which nobody knows a path: the transport's own or the
 * default. CTR_FAILED_PRECONDITION if the policy has scopes that are paths for the transport. */
int policy_find_archive(const Policy *p, const char *transport, const PolicyScope **ret, Error *e);

/* "scope "localhost:5000/a" of docker", "the default": for sentences. Returns buf. */
const char *policy_scope_describe(const PolicyScope *scope, char buf[static POLICY_TEXT_SIZE]);

void policy_identity_clear(PolicyIdentity *i);

/* Compares the reference in a signature with that of the image that was asked for. 1: it is what
 * the policy wants, 0: it is not, also for what is no reference; -ENOMEM. */
int policy_identity_matches(const PolicyIdentity *i, const Reference *wanted, const char *is);
