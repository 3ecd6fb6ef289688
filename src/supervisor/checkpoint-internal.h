/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between a run of CRIU and a dump (checkpoint.c), and a restore (checkpoint-restore.c). */

#include <limits.h>

#include "runtime/checkpoint.h"
#include "supervisor/checkpoint.h"

struct Checkpoint {
        Supervisor *supervisor;
        Helper *criu;
        Source source;
        Timer timer;
        Reply reply; /* of a dump; a restore has start_reply */
        bool restoring;
        int images_fd, master_fd, slave_fd;
        CheckpointRequest request;
        CheckpointDump dump;
        CheckpointRestore restore;
};

/* The run that s->checkpoint is from here on. 0 or -ENOMEM. */
int checkpoint_new(Supervisor *s, Checkpoint **ret);
Checkpoint *checkpoint_free(Checkpoint *c);

/* Waits for the end of c->criu, with its time limit. 0 or -ENOMEM. */
int checkpoint_watch(Checkpoint *c);

/* Where a file of the task is found, for a sentence. */
const char *checkpoint_task_file(const Supervisor *s, const char *name, char buf[static PATH_MAX]);

/* CRIU has ended: the task runs, or has ended. Frees c. */
void checkpoint_restore_finished(Checkpoint *c, Error *e);

/* Ends the task with 125, and tells whoever asked for its start. */
void checkpoint_restore_failed(Supervisor *s, int r, const Error *e);
