/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where automatic user namespaces take their ids from, and which of them are free.
 *
 * The administrator gives them, as to podman, as the subordinate ids of a user in /etc/subuid and
 * /etc/subgid. Where nothing is given they are of the range that systemd reserves for containers
 * (systemd's UIDS-GIDS document): from there systemd-nspawn takes whole pieces of 64 Ki, too, so we
 * keep away from those that it has, from everybody's subordinate ids, and from ids of accounts.
 *
 * A container has the same number for its users and its groups. Nothing is kept here: what
 * containers have is in their rows, and the caller adds it.
 */

#include "basic/error.h"

#define ID_POOL_USER       "containers"
#define ID_POOL_NSPAWN_DIR "/run/systemd/nspawn-uid"

typedef struct IdRange {
        uint64_t start, end; /* end is the first one that is not in it */
} IdRange;

typedef struct IdRanges {
        IdRange *list;
        size_t n, allocated;
} IdRanges;

int id_ranges_add(IdRanges *l, uint64_t start, uint64_t size);

typedef struct IdPoolSource {
        const char *user;       /* NULL: ID_POOL_USER if the files have it; "": none */
        const char *etc_dir;    /* NULL: "/etc" */
        const char *nspawn_dir; /* NULL: ID_POOL_NSPAWN_DIR */
} IdPoolSource;

typedef struct IdPool {
        IdRanges ranges, used; /* in any order; used ones may overlap, and be elsewhere */
        uint64_t alignment;
        bool spread;             /* not the lowest range, but one that depends on the name */
        const char *description; /* completes "of"; a constant */
} IdPool;

void id_pool_clear(IdPool *p);

/* CTR_FAILED_PRECONDITION if the user that was named has no ids, or not the same ones in both
 * files. */
int id_pool_load(const IdPoolSource *source, IdPool *ret, Error *e);

/* The first gap of that size, or with spread the first one from where the name leads: who makes a
 * container of the same name again gets the same ids if nobody took them. Sorts what is used. */
bool id_pool_choose(IdPool *p, uint32_t size, const char *namespace, const char *id,
                    uint32_t *ret_start);
