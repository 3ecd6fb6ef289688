/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A task's documents as another OCI runtime gets them. Three things of ours it cannot know: the
 * user as the image names it is looked up here, the root is mounted here, and limits are the unit's
 * and not the document's.
 *
 * Invariant: both functions run in a clone, and the first one leaves it in a mount namespace of its
 * own: nothing of the container's mounts is in the host's.
 */

#include "basic/error.h"
#include "supervisor/record.h"

#define FOREIGN_ROOT   "rootfs"      /* where the root is mounted, below the bundle */
#define FOREIGN_CONFIG "config.json" /* the name that the specification gives it */

typedef struct ForeignDocument {
        int task_dir_fd; /* where ours are */
        const TaskLaunch *launch;
        const char *bundle; /* an absolute path */
        int bundle_fd;
        const char *cgroup; /* in the unified hierarchy, with a leading slash: the container's */
} ForeignDocument;

/* Writes FOREIGN_CONFIG, with the root mounted. */
int foreign_write_config(const ForeignDocument *d, Error *e);

/* Writes the process of an exec to name; init_pid tells whose root it is for, and must not be
 * reaped meanwhile. */
int foreign_write_process(const ForeignDocument *d, const char *exec_id, pid_t init_pid,
                          const char *name, Error *e);
