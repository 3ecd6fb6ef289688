/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Garbage: operations only say that something may be unneeded now; one place decides when to look
 * (here), one query over the database what it is (manager/db-gc.h), and it is taken away in turns
 * of the event loop (manager/collection.h). Rows go first; then directories are renamed to
 * ".doomed-<n>", which is instant, and a worker removes the trees in the background. Blobs are
 * single files and are unlinked.
 *
 * When nobody waits, a collection comes a second after it was asked for, and after MUTATIONS_MAX
 * changes of the database in any case; collections take at most PAUSE_THRESHOLD of the event loop's
 * time. These are containerd's defaults (D48), made for one loop.
 *
 * Invariant: a file without a record is not removed while a job runs that may rely on it, nor while
 * a lease holds it.
 */

#include "manager/object.h"

typedef struct Sweeper Sweeper;

/* What the last collection removed. */
typedef struct Collected {
        uint64_t blobs, snapshots, ingests;
        uint64_t bytes;
        uint64_t n_turns, longest_usec, busy_usec; /* of the event loop */
} Collected;

int sweeper_new(Manager *m, Sweeper **ret);
/* Whoever still waits is told -ESHUTDOWN. */
Sweeper *sweeper_free(Sweeper *s);
DEFINE_CLEANUP(Sweeper *, sweeper_free);

/* Asks for a collection, from the event loop. callback (may be NULL) is told when the one that
 * covers this request is over, trees and files included; its object is NULL. */
int sweeper_collect(Sweeper *s, Callback callback, void *userdata, Error *e);

/* The first one after the start, a little later. */
int sweeper_collect_at_start(Sweeper *s, Error *e);

/* Takes a snapshot's directory out of the way at once, to be removed in the background. */
int sweeper_doom(Sweeper *s, int64_t snapshot, Error *e);

/* There are doomed trees (left by a crash): remove them in the background. */
int sweeper_sweep(Sweeper *s);

/* The file of a blob may go, unless it has a record or a lease when its turn comes. 0 or -ENOMEM.
 */
int sweeper_remove_blob(Sweeper *s, const char *digest);

/* Removes what may go now, as far as a turn has time for it; the rest comes later. */
void sweeper_remove_blobs(Sweeper *s);

/* A job is over, or has said which blobs it needs: what was asked for meanwhile can be done. */
void sweeper_resume(Sweeper *s);

/* Something is left to do: not idle. */
bool sweeper_is_busy(const Sweeper *s);

/* Of the last collection. */
const Collected *sweeper_collected(const Sweeper *s);
