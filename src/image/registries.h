/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where a registry is reached and how, by the configuration that podman, skopeo and buildah share:
 * containers-registries.conf(5), version 2, read from /etc/containers/registries.conf and then
 * /etc/containers/registries.conf.d/<name>.conf in the order of the names, or from
 * $CONTAINERS_REGISTRIES_CONF alone. Of each [[registry]] the keys prefix, location, insecure,
 * blocked and mirror-by-digest-only are used, and of its [[registry.mirror]] location, insecure and
 * pull-from-mirror; of several that match, the one with the longest prefix counts, and in later
 * files a [[registry]] replaces an earlier one with the same prefix. unqualified-search-registries
 * says where a search goes that names no registry; the last file that has it counts. Other keys and
 * tables are ignored.
 */

#include "image/reference.h"

typedef struct RegistryEndpoint {
        char *host;       /* what to connect to, "host[:port]" */
        char *repository; /* there */
        bool insecure;    /* plain HTTP, and certificates that cannot be verified, are accepted */
} RegistryEndpoint;

/* Where a reference is looked for, in this order: mirrors, then the registry itself. */
typedef struct RegistryEndpoints {
        RegistryEndpoint *items;
        size_t n;
} RegistryEndpoints;

typedef struct Registries Registries;

/* Reads the files. Missing ones are no error. CTR_INVALID_ARGUMENT with file and line. */
int registries_load(Registries **ret, Error *e);
Registries *registries_free(Registries *r);
DEFINE_CLEANUP(Registries *, registries_free);

/* Adds the [[registry]] tables of one text; file names it in errors. */
int registries_parse(Registries **r, const char *text, const char *file, Error *e);

/* The endpoints for a reference: its own host and repository where nothing is configured.
 * CTR_PERMISSION_DENIED if the registry is blocked. */
int registries_lookup(const Registries *r, const Reference *reference, RegistryEndpoints *ret,
                      Error *e);

/* Where the registry itself is that people call host, for what is about all of it: ret->repository
 * is the path that its repositories are below there, "" for none. What is configured for a part of
 * it does not count, nor do mirrors. Errors as above; the strings are new. */
int registries_lookup_host(const Registries *r, const char *host, RegistryEndpoint *ret, Error *e);

/* Whether a host ("host[:port]") is one of a registry or mirror that is configured as insecure. */
bool registries_host_is_insecure(const Registries *r, const char *host);

/* The hosts to search in; NULL if none is configured. */
char *const *registries_unqualified(const Registries *r);

void registry_endpoint_clear(RegistryEndpoint *endpoint);
void registry_endpoints_clear(RegistryEndpoints *endpoints);
