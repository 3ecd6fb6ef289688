/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of the sweeper: when it looks for garbage (sweeper.c), and how blobs and trees
 * are removed (sweeper-files.c). */

#include "manager/collection.h"
#include "manager/sweeper.h"

struct Sweeper {
        Manager *manager;
        sd_event_source *source; /* when it is time to do something */

        Collection *collection; /* the one that is under way */
        Collected collected;
        bool collect; /* another one is wanted */
        unsigned mutations;
        uint64_t not_before; /* monotonic; for what nobody waits for */

        char **blobs; /* digests whose files may go, the next one first */
        size_t n_blobs, next_blob;
        sd_event_source *blobs_source;

        sd_event_source *child; /* the worker that removes trees */
        int pidfd;
        bool doomed, more;   /* more: doomed trees than the worker was given */
        unsigned n_failures; /* of workers in a row */

        Waiter *waiters;            /* for the next collection */
        Waiter *collection_waiters; /* for the one that is under way */
        Waiter *removal_waiters;    /* for the files and trees of the last one */
};

/* What nobody waits for is put off a little: a worker takes longer to start than to remove what one
 * task leaves behind, and one query is as good for many tasks as for one. */
#define SWEEPER_DELAY_USEC USEC_PER_SEC

/* Looks what there is to do in delay_usec, or when it was to look before; 0: in the next turn. */
int sweeper_schedule(Sweeper *s, uint64_t delay_usec);

/* Blobs and trees are left to be removed. */
bool sweeper_has_files(const Sweeper *s);

/* Whoever waited for them is told, when all of them have gone. */
void sweeper_settle(Sweeper *s);

/* Starts a worker for the doomed trees, unless one is at it; at its end it comes back here. */
void sweeper_remove_trees(Sweeper *s);
