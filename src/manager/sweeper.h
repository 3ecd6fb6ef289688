/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Garbage: operations only say that something may be unneeded now; one place decides, with one
 * query over the database, and takes away. Rows go first, in one transaction; then directories are
 * renamed to ".doomed-<n>", which is instant, and a worker removes the trees in the background.
 * Blobs are single files and are unlinked at once.
 *
 * Invariant: nothing is collected while a pull runs, whose blobs and layers have no row yet.
 */

#include "manager/object.h"

typedef struct Sweeper Sweeper;

int sweeper_new(Manager *m, Sweeper **ret);
/* Whoever still waits is told -ESHUTDOWN. */
Sweeper *sweeper_free(Sweeper *s);
DEFINE_CLEANUP(Sweeper *, sweeper_free);

/* Asks for a collection, from the event loop. callback (may be NULL) is told when the one that
 * covers this request is over, trees included; its object is NULL. */
int sweeper_collect(Sweeper *s, Callback callback, void *userdata, Error *e);

/* Takes a snapshot's directory out of the way at once, to be removed in the background. */
int sweeper_doom(Sweeper *s, int64_t snapshot, Error *e);

/* There are doomed trees (left by a crash): remove them in the background. */
int sweeper_sweep(Sweeper *s);

/* The last job is over: what was asked for meanwhile can be done. */
void sweeper_resume(Sweeper *s);

/* Something is left to do: not idle. */
bool sweeper_is_busy(const Sweeper *s);
