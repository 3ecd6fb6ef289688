/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The removal of containers in which nothing runs. It has two steps, because for each of them its
 * own right is asked for in between: the choice, and the deletion, which finds out anew what may
 * be deleted.
 *
 * Invariant: a container that runs, that is about to run because its policy of restarts says so, or
 * that an operation on its versions is at work on, is never chosen.
 */

#include "manager/container.h"

/* Which of them containers_choose() takes. */
typedef struct ContainerPrune {
        const char *namespace;
        bool (*matches)(const Container *c, void *userdata);
        void *userdata;
        uint64_t before; /* only those that were created before (usec); 0: all */
} ContainerPrune;

/* Fills list with at most max of them, in no order, and returns how many. They stay the manager's:
 * valid until the event loop runs again. */
size_t containers_choose(Manager *m, const ContainerPrune *request, Container **list, size_t max);

/* Deletes them, n > 0, and their tasks, which have ended; roots go, versions and volumes stay.
 * callback(NULL) when all that could go are gone: *ret, an array of their ids, is whole only then.
 * One that has begun to run meanwhile, or is gone, is left out; what else fails fails it all. The
 * error is returned, and callback is not called, if not one deletion could be begun. */
int containers_delete(Container *const *list, size_t n, Callback callback, void *userdata,
                      json_t **ret, Error *e);
