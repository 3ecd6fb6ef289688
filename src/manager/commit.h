/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A container becomes an image. A running task is paused while its files are read, unless it shall
 * not be, and goes on as soon as that is over, while the worker stores and extracts what it read.
 *
 * Invariant: a task that was paused here is never left so: that it has to go on is in its
 * state.json before it is paused, for the manager that comes after us.
 */

#include "manager/task.h"

typedef struct CommitRequest {
        const char *reference; /* the name of the new image */
        const char *author, *comment, *compression;
        const char *lease; /* holds the image, too; NULL: none does */
        char *const *changes;
        bool no_pause, no_unpack;
} CommitRequest;

/* The callback's object is the Job. CTR_FAILED_PRECONDITION while the task is being made or
 * committed, and if the image of the container is not there any more. */
int container_commit(Container *c, const CommitRequest *request, Callback callback, void *userdata,
                     Error *e);

/* The task was found with Task.committing set: it goes on. */
void commit_recovered(Task *t);
