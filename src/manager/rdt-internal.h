/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the groups (rdt.c) and the arithmetic of their shares (rdt-schemata.c). */

#include <jansson.h>

#include "manager/rdt.h"

#define RDT_CACHES_MAX 128U
#define RDT_TEXT_MAX   65536U

typedef enum RdtKind {
        RDT_L2,
        RDT_L3,
        RDT_MB,
        _RDT_KIND_MAX,
} RdtKind;

/* One line of the schemata: "L3:", or "L3CODE:" and "L3DATA:" where the two are apart. */
typedef struct RdtResource {
        RdtKind kind;
        char name[16];    /* "L3CODE" */
        const char *part; /* "unified", "code", "data" */
        unsigned caches[RDT_CACHES_MAX];
        size_t n_caches;
        uint64_t mask; /* of a cache: the bits that there are */
        unsigned min_bits;
        unsigned min_bandwidth; /* percent */
        bool megabytes;         /* bandwidth is in MB/s rather than percent */
} RdtResource;

/* Appends the line of one resource for a class to text. partitions: of the configuration. Nothing
 * is appended if no partition says anything about it. CTR_INVALID_ARGUMENT. */
int rdt_schema_line(const RdtResource *resource, json_t *partitions, const char *partition,
                    const char *class_name, char *text, size_t size, Error *e);
