/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Checkpoints in the content store. What CRIU writes is in a directory of the snapshots
 * ("snapshots/overlayfs/.new-..."), which a worker turns into an image of the kind of A3.16. The
 * way back is in checkpoint-restore.h.
 *
 * Invariant: such a directory is never left behind: who made it discards it, after a crash the
 * manager that goes on with the checkpoint, or, if there is none, its start.
 */

#include "manager/image.h"
#include "manager/job.h"
#include "manager/task.h"

#define CHECKPOINT_DUMP_PREFIX ".new-checkpoint-"

/* Makes a directory with a name that begins with prefix (".new-..."): *ret_name, and *ret_path is
 * "<its path>/images". Both are to be freed. */
int checkpoint_directory_new(Manager *m, const char *prefix, char **ret_name, char **ret_path,
                             Error *e);

/* It is removed in the background. NULL-safe. */
void checkpoint_directory_discard(Manager *m, const char *name);

/* Writes down beside the images what the worker has to know of t. CTR_FAILED_PRECONDITION if the
 * image that its container was made from is not there any more. */
int checkpoint_describe(Task *t, const char *name, Error *e);

/* Starts the job that stores the directory. */
int checkpoint_store(Manager *m, const char *namespace, const char *reference, const char *name,
                     Job **ret, Error *e);

/* Records the image from the job's result, with the label containerd.io/checkpoint=true. base: the
 * image that the checkpoint refers to. */
int checkpoint_commit(Manager *m, const char *namespace, const char *reference, const char *base,
                      json_t *result, Image **ret, Error *e);
