/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where a registry is reached and how, by the configuration that podman, skopeo and buildah share:
 * containers-registries.conf(5), version 2, read from /etc/containers/registries.conf and then
 * /etc/containers/registries.conf.d/<name>.conf in the order of the names, or from
 * $CONTAINERS_REGISTRIES_CONF alone. Of each [[registry]] the keys prefix, location, insecure,
 * blocked and mirror-by-digest-only are used, and of its [[registry.mirror]] location, insecure and
 * pull-from-mirror; of several that match, the one with the longest prefix counts, and in later
 * files a [[registry]] replaces an earlier one with the same prefix. Other tables are ignored.
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
void registry_endpoints_clear(RegistryEndpoints *endpoints);
