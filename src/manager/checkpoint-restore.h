/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Tasks that are made from a checkpoint in the content store: a worker extracts it to a directory
 * of the snapshots ("snapshots/overlayfs/.new-restore-..."), CRIU's images and, where the
 * checkpoint has them, the files that its container had written. Those become the root of the new
 * one, which is kept in the directory in exchange until the task is CREATED, and put back if that
 * fails. Start reads the images.
 *
 * Invariant: the directory belongs to the call that makes the task, then to the task, which a later
 * manager finds by its launch.json. It goes when Start was answered or the task is deleted; one
 * that no task has is removed at the manager's start.
 */

#include "manager/task.h"

#define CHECKPOINT_RESTORE_PREFIX ".new-restore-"

/* task_create(), from the image: CTR_NOT_FOUND, CTR_INVALID_ARGUMENT if it is no checkpoint. */
int task_create_from_image(Container *c, const TaskRequest *request, const char *reference,
                           Callback callback, void *userdata, Error *e);

/* What t was restored from is not needed any more. */
void checkpoint_restored(Task *t);

/* At the manager's start: t was made with the images at path, which may be NULL or a directory of
 * somebody else's. */
int checkpoint_recover_directory(Task *t, const char *path);

/* At the manager's start, when all tasks are known. */
void checkpoint_directories_recovered(Manager *m);
