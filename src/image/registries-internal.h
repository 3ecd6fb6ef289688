/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The configuration of registries as a table, between its reader (registries-file.c) and who looks
 * things up in it (registries.c).
 *
 * Invariant: an entry in the table has a prefix and a location, each of its mirrors a location, and
 * no two entries have the same prefix.
 */

#include "image/registries.h"

/* Which pulls a mirror serves. */
typedef enum MirrorUse {
        MIRROR_ALL,
        MIRROR_DIGEST_ONLY,
        MIRROR_TAG_ONLY,
} MirrorUse;

typedef struct RegistryMirror {
        char *location;
        bool insecure;
        MirrorUse use;
} RegistryMirror;

typedef struct RegistryEntry {
        char *prefix, *location;
        bool insecure, blocked, mirrors_by_digest_only;
        RegistryMirror *mirrors;
        size_t n_mirrors;
} RegistryEntry;

struct Registries {
        RegistryEntry *entries;
        size_t n_entries;
        char **unqualified;
};

/* Frees what it has, not itself. */
void registry_entry_clear(RegistryEntry *entry);
