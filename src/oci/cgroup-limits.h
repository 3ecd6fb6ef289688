/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * linux.resources as what has to be written into which file of the cgroup. What cgroup v2 has no
 * such thing for is refused by its name.
 *
 * Invariant: Limits that were read are well formed; only the kernel's word on them is missing.
 */

#include <jansson.h>

#include "basic/error.h"

#define LIMITS_MAX 512U /* values of one document */

typedef struct Limit {
        const char *property; /* what names it in errors */
        char *file;
        char *value;
        bool is_optional; /* where there is no such file another one says it */
} Limit;

typedef struct Limits {
        Limit *items;
        size_t n;
        json_t *devices;       /* the list of rules, or NULL: none was given */
        uint64_t memory_check; /* refuse a memory.max below what is used; 0: no */
} Limits;

/* Reads the object linux.resources; NULL is none. CTR_INVALID_ARGUMENT, CTR_NOT_IMPLEMENTED. */
int limits_read(json_t *resources, Limits *ret, Error *e);
void limits_clear(Limits *l);

/* Nothing but devices, which are nothing to a user who can make none. */
static inline bool limits_are_none(const Limits *l) {
        return l->n == 0;
}

/* Writes them, and the filter of devices unless that is for those to whom the kernel gives none
 * anyway. */
int limits_apply(const Limits *l, int cgroup_fd, bool without_devices, Error *e);

/* The value for a file, or NULL. */
const char *limits_get(const Limits *l, const char *file);
