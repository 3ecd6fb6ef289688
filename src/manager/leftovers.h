/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a worker leaves in the store when it is killed, or when its result cannot be recorded: trees
 * and files of archives, whose names carry its pid, and blobs that have no record yet. A worker
 * that fails by itself removes the former. A start of the manager removes all of it
 * (recover-store.c); this is for a manager that goes on.
 *
 * Invariant: what has a record or a lease stays, and so does all that a worker which is running may
 * rely on.
 */

#include <sys/types.h>

#include "manager/manager.h"

typedef struct Leftovers Leftovers;

int leftovers_new(Manager *m, Leftovers **ret);
Leftovers *leftovers_free(Leftovers *l);
DEFINE_CLEANUP(Leftovers *, leftovers_free);

/* Trees and files of a worker that is gone. */
void leftovers_remove_of(Leftovers *l, pid_t pid);

/* Looks at all blobs, in turns of the event loop. */
void leftovers_look_for_blobs(Leftovers *l);

/* Still looking: not idle. */
bool leftovers_is_busy(const Leftovers *l);
