/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of a Policy: its file (policy.c), its scopes (policy-scope.c), and what it says
 * of names (policy-identity.c). */

#include <jansson.h>

#include "image/policy.h"

struct Policy {
        char *file;
        PolicyScope *scopes;
        size_t n_scopes;
};

/* Refuses members that are not in keys, a list that ends with NULL: what is not known may be what
 * matters. CTR_INVALID_ARGUMENT. */
int policy_check_keys(json_t *j, const char *path, const char *const *keys, Error *e);

/* Reads signedIdentity into an empty one, which is to be cleared also after a failure.
 * CTR_INVALID_ARGUMENT, -EBADMSG. */
int policy_identity_parse(json_t *j, const char *path, PolicyIdentity *ret, Error *e);
