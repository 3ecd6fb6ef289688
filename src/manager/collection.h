/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One garbage collection: the mark in a thread, then the rows of what it found, in transactions
 * that each take one turn of the event loop, and what the rows had on disk, in the same turn as far
 * as there is time, then in turns of its own.
 *
 * Invariant: whatever moment the manager is killed at, nothing that is referred to is gone. What is
 * left of that moment is files and directories without a row, which the next start removes.
 */

#include "manager/sweeper.h"

typedef struct Collection Collection;

/* Once, from the event loop; it may free the collection. */
typedef void (*CollectionDone)(int r, const Error *e, void *userdata);

/* What it removes is added to collected, which stays the caller's. */
int collection_start(Manager *m, Collected *collected, CollectionDone done, void *userdata,
                     Collection **ret, Error *e);

Collection *collection_free(Collection *c);
DEFINE_CLEANUP(Collection *, collection_free);

/* In the middle of a transaction of its own. */
bool collection_is_writing(const Collection *c);
