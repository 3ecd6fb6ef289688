/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Leases: names under which somebody says what must not be collected although nothing refers to it
 * yet, or any more. They belong to a namespace, may expire, and hold resources of these types:
 *
 *   "content"                 a digest
 *   "images"                  a reference: it does not expire (containerd.io/gc.expire)
 *   "snapshots/SNAPSHOTTER"   a key, or the chain id of a layer
 *   "ingests"                 the digest of what is not complete yet
 *
 * What is held needs not exist yet. Every job that fetches blobs has a lease of its own from the
 * moment on at which it is known what it fetches. It goes with the image's record; after the
 * failure of a pull it stays, so that the next try finds what was fetched, until that succeeds or
 * it expires.
 *
 * Invariant: an expired lease holds nothing, whether its row has gone already or not.
 */

#include <jansson.h>

#include "manager/object.h"

typedef struct Job Job;
typedef struct Leases Leases;

#define LEASE_LABEL_EXPIRE "containerd.io/gc.expire" /* RFC 3339 */
#define LEASE_LABEL_JOB    "org.example.Ctr/job"     /* one of ours: the type of the job */
#define LEASE_LABEL_TARGET "org.example.Ctr/target"  /* and what it works on */

/* The timer that removes what has expired. */
int leases_new(Manager *m, Leases **ret);
Leases *leases_free(Leases *l);
DEFINE_CLEANUP(Leases *, leases_free);

/* Removes what has expired and waits for the next one. */
int leases_expire(Leases *l, Error *e);

/* id "": a random one. labels are not taken over. expires_at 0: as its label says, or never.
 * *ret_id: a new string. CTR_ALREADY_EXISTS, CTR_INVALID_ARGUMENT. */
int lease_create(Manager *m, const char *namespace, const char *id, json_t *labels,
                 uint64_t expires_at, char **ret_id, Error *e);

/* What nothing else holds is collected; callback (may be NULL) is told when that is over. */
int lease_delete(Manager *m, const char *namespace, const char *id, Callback callback,
                 void *userdata, Error *e);

/* CTR_NOT_FOUND with a sentence; for options that name a lease. */
int lease_check(Manager *m, const char *namespace, const char *id, Error *e);

/* CTR_INVALID_ARGUMENT for another type or a malformed key. "snapshots" is "snapshots/overlayfs".
 */
int lease_add(Manager *m, const char *namespace, const char *id, const char *type, const char *key,
              Error *e);
int lease_remove(Manager *m, const char *namespace, const char *id, const char *type,
                 const char *key, Error *e);

/* A snapshot of this namespace, also in a transaction of the caller's. */
int lease_add_snapshot(Manager *m, const char *namespace, const char *id, const char *snapshotter,
                       const char *key, Error *e);

/* A snapshot gets another name, which the lease holds then, and the old one no longer. */
int lease_rename_snapshot(Manager *m, const char *namespace, const char *id,
                          const char *snapshotter, const char *from, const char *to, Error *e);

/* The image, its blobs and its layers. */
int lease_add_image(Manager *m, const char *namespace, const char *id, const char *image, Error *e);

/* *ret: array of {namespace, id, labels, created_at, expires_at}; namespace NULL: all. */
int lease_list(Manager *m, const char *namespace, json_t **ret, Error *e);
/* *ret: array of {type, key}. */
int lease_resources(Manager *m, const char *namespace, const char *id, json_t **ret, Error *e);

/* The job's worker has said what it needs (`plan` of docs/worker-protocol.md) and was told which
 * layers are there: its lease holds both from now on. */
int lease_protect_plan(Job *j, json_t *plan, json_t *answer, Error *e);

/* The job is over. */
void lease_job_done(Job *j, bool success);

/* Ends the leases of jobs that are no more, and that nobody goes on with. */
int leases_recover(Manager *m, Error *e);
