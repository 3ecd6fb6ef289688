/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Identifiers of namespaces, containers and execs. One id is at the same time a path component, a
 * part of a unit name and (escaped) a part of an object path; the grammar keeps all three safe:
 * 1 to 76 characters, ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$ (containerd's pkg/identifiers).
 */

#include "basic/error.h"

#define IDENTIFIER_MAX    76
#define NAMESPACE_DEFAULT "default"
#define UNIT_NAME_SIZE    (STRLEN("ctr-:.scope") + 2 * IDENTIFIER_MAX + 1)

bool identifier_is_valid(const char *s) _pure_;

/* 0, or CTR_INVALID_ARGUMENT with a sentence that starts with what ("container id", ...). */
int identifier_validate(const char *s, const char *what, Error *e);

/* As identifier_validate(); an empty one is CTR_FAILED_PRECONDITION "namespace is required", and
 * "version" is reserved. */
int namespace_validate(const char *s, Error *e);

/* "ctr-<id>.scope" in the default namespace, "ctr-<namespace>:<id>.scope" in the others. Both ids
 * must be valid. Returns buf. */
const char *unit_name_from_identifier(const char *namespace, const char *id,
                                      char buf[static UNIT_NAME_SIZE]);

/* The inverse: 0 and both parts, or -EINVAL for a unit that is not ours. */
int unit_name_to_identifier(const char *unit, char **ret_namespace, char **ret_id);
