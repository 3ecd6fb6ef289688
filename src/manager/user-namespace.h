/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which ids a container has: those of the host, a range of the host's that is its own, or what the
 * caller maps. It is decided when the container is made and kept in its row, so that a container
 * has the same ids in all its tasks and versions, until it is deleted.
 *
 * Invariant: but for the host's own ids both maps have entries, and id 0 is in them: the layers of
 * an image are root's. Only where row and document are damaged there are none: then nobody gets an
 * automatic range, since it could be that container's.
 */

#include <jansson.h>

#include "basic/error.h"

#define ID_MAPPINGS_MAX     340U /* of the kernel, user_namespaces(7) */
#define USER_NAMESPACE_SIZE 65536U
#define ID_RANGE_SIZE_MAX   (UINT32_C(1) << 31)

typedef struct Manager Manager;

typedef enum UserNamespaceMode {
        USER_NAMESPACE_HOST,
        USER_NAMESPACE_AUTO,   /* a range that nobody else has, see manager/id-pool.h */
        USER_NAMESPACE_MAPPED, /* as the caller says */
        _USER_NAMESPACE_MODE_MAX,
} UserNamespaceMode;

typedef struct IdMapping {
        uint32_t container, host, size;
} IdMapping;

typedef struct IdMappings {
        IdMapping *list;
        size_t n;
} IdMappings;

typedef struct UserNamespace {
        UserNamespaceMode mode;
        uint32_t size; /* of an automatic one; 0: USER_NAMESPACE_SIZE */
        IdMappings uids, gids;
} UserNamespace;

const char *user_namespace_mode_to_string(UserNamespaceMode mode);

void user_namespace_clear(UserNamespace *u);

/* One more entry. CTR_INVALID_ARGUMENT for one that is empty, leaves the range of ids (0 to
 * 2^32-2), overlaps one that is there, on either side, or is one too many. */
int id_mappings_add(IdMappings *m, const IdMapping *mapping, Error *e);

/* UINT32_MAX if there is none. */
uint32_t id_mappings_to_host(const IdMappings *m, uint32_t container_id) _pure_;
bool id_mappings_have(const IdMappings *m, uint32_t container_id) _pure_;

/* What the members of a request must be among each other; an automatic one has no maps yet. Takes
 * the map of users for that of groups if only the former was given. CTR_INVALID_ARGUMENT. */
int user_namespace_check(UserNamespace *u, Error *e);

/* The container's own from what was asked for: a copy, or a new range. It is not taken by anybody
 * else if the container is made before the event loop runs again. CTR_RESOURCE_EXHAUSTED if there
 * is no range left, CTR_FAILED_PRECONDITION if the host's files give none, or nobody knows which
 * ids a damaged container has. */
int user_namespace_make(Manager *m, const UserNamespace *wanted, const char *namespace,
                        const char *id, UserNamespace *ret, Error *e);

/* As it is in the container's row. -EBADMSG for a damaged one. */
json_t *user_namespace_to_json(const UserNamespace *u);
int user_namespace_from_json(json_t *o, UserNamespace *ret, Error *e);

/* As the container's document has it: host or mapped. For a container whose row is damaged. */
int user_namespace_from_spec(json_t *spec, UserNamespace *ret, Error *e);

/* An array as in the OCI document, linux.uidMappings. */
json_t *id_mappings_to_spec(const IdMappings *m);
