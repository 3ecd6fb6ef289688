/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The kinds of namespaces, and how init gets into those of the document: new ones are made by
 * unshare() in init itself, so that their cost (the network's is the largest part of a start) does
 * not stop the supervisor; existing ones are joined by their file.
 */

#include "basic/error.h"

typedef enum NamespaceType {
        NAMESPACE_PID,
        NAMESPACE_NETWORK,
        NAMESPACE_MOUNT,
        NAMESPACE_IPC,
        NAMESPACE_UTS,
        NAMESPACE_USER,
        NAMESPACE_CGROUP,
        NAMESPACE_TIME,
        _NAMESPACE_MAX,
} NamespaceType;

typedef struct SpecNamespace {
        bool set;         /* false: the supervisor's own */
        const char *path; /* NULL: a new one */
} SpecNamespace;

/* A new one, as opposed to a joined one or the supervisor's. */
static inline bool namespace_is_new(const SpecNamespace *n) {
        return n->set && !n->path;
}

/* The name in the OCI document ("network"), and the CLONE_NEW* flag. */
const char *namespace_type_to_string(NamespaceType type) _const_;
int namespace_type_flag(NamespaceType type) _const_;
/* _NAMESPACE_MAX if it is none. */
NamespaceType namespace_type_from_string(const char *s) _pure_;

/* Opens the file of a namespace; CTR_INVALID_ARGUMENT if it is not one of this type. */
int namespace_open(NamespaceType type, const char *path, int *ret_fd, Error *e);

/* Moves the caller into the namespaces in mask (bits 1 << NamespaceType): joins those with a path
 * and makes the others. Never the pid namespace (that needs a clone). */
int namespaces_enter(const SpecNamespace namespaces[_NAMESPACE_MAX], unsigned mask, Error *e);
