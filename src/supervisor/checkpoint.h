/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Checkpoint and restore of the task, by a run of criu that is watched like any other child.
 *
 * A task that is to be restored (TaskLaunch.checkpoint) has no init until START: its state is
 * CREATED, its payload empty and its container NULL, until criu has brought the processes back.
 *
 * Invariant: one run at a time, with a time limit; while it restores, no child is reaped that
 * nobody knows, because it may be the init that criu is about to name.
 */

#include "supervisor/supervisor.h"

/* SUPERVISOR_CHECKPOINT: q is answered when the images are written, or with the reason why not.
 * Without text q takes the place of the one who asked for the dump that goes on and is gone. */
int request_checkpoint(Supervisor *s, Request *q, Error *e);

/* START of a task with a checkpoint: s->start_reply tells the outcome. If it fails the task has
 * ended, with 125. */
void supervisor_restore(Supervisor *s);

bool checkpoint_is_restoring(const Supervisor *s) _pure_;
bool checkpoint_is_dumping(const Supervisor *s) _pure_;

/* Whether the child is criu, or may be what it restores. */
bool checkpoint_owns(const Supervisor *s, pid_t pid) _pure_;

/* Ends a restore that is under way, if one is, and tells whoever asked for it. */
void checkpoint_cancel_restore(Supervisor *s);

/* Ends the run, and with it a dump or restore that nobody will hear of. */
void checkpoint_clear(Supervisor *s);
