/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Versions of a container: what its root was at some moment, kept as a committed snapshot and
 * numbered from 1. To make one, or to go back to one, the task is stopped and deleted, the root
 * changed, and a task with the same streams started again, if there was one that ran:
 *
 *   BEGUN --task stopped, deleted--> SETTLED --trees synced, counted, copied--> SWITCHED --> over
 *
 * What is to be done is in the container's row from the beginning, and what was done changes it in
 * one transaction: the active snapshot is committed, a new one is on top of it, the container has
 * that as its root. A manager that is killed anywhere leaves a container before that moment or
 * after it, and its successor goes on from there (versions_recovered()), the start included.
 * As long as it is under way there is a file beside the database, too, whose removal needs no room:
 * without it an operation is over that the row still has, because the disk was full at its end, and
 * whose caller was told that it failed.
 *
 * Invariant: one operation at a time on a container, and nothing else makes a task meanwhile.
 *
 * Versions are snapshots like any other: named, with labels, and they stay when the container goes.
 */

#include "manager/snapshot.h"

typedef struct Container Container;
typedef struct VersionOperation VersionOperation;

typedef struct VersionRequest {
        uint64_t stop_timeout; /* usec; then the task is killed */
        bool no_start;         /* leave it without a task */
        json_t *labels;        /* of the version; NULL: none */
} VersionRequest;

/* snapshot: that of the version, which was made or gone back to. */
typedef void (*VersionCallback)(int r, const Error *e, uint32_t version, const char *snapshot,
                                void *userdata);

/* A6.5. After an error the container is as before; only if the task could not be started again the
 * version is there (and the text says so). CTR_FAILED_PRECONDITION if another operation is under
 * way, or nobody wants to keep what is in the container. */
int version_create(Container *c, const VersionRequest *request, VersionCallback callback,
                   void *userdata, Error *e);

/* A6.6: what was written since the last version is lost. CTR_NOT_FOUND. */
int version_rollback(Container *c, uint32_t version, const VersionRequest *request,
                     VersionCallback callback, void *userdata, Error *e);

/* Its snapshot goes when nothing lies upon it. CTR_NOT_FOUND. */
int version_delete(Container *c, uint32_t version, Error *e);

/* CTR_FAILED_PRECONDITION if an operation is under way. */
int version_operation_check(const Container *c, Error *e);

/* The manager ends: its caller is told -ESHUTDOWN. */
VersionOperation *version_operation_free(VersionOperation *o);

/* Goes on with what the former manager has begun. */
void versions_recovered(Manager *m);
