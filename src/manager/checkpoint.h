/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Checkpoints of tasks: the order of A3.15 around the supervisor's dump. The task is paused, unless
 * it is already; its processes are written down; it is resumed whatever came of that, unless it was
 * to end. A manager that is killed meanwhile leaves all of this to the next one, which finds it in
 * the task's state.json.
 *
 * Invariant: the callback comes once, after the task runs again, or was left paused because it was
 * paused before, or has ended.
 */

#include "manager/task.h"

typedef struct CheckpointOptions {
        const char *path;   /* absolute directory, made if missing; or */
        const char *image;  /* the reference to store it under */
        const char *parent; /* directory of the checkpoint before, or NULL */
        bool exit;          /* end the task */
        bool allow_tcp, allow_unix_sockets, allow_terminal, file_locks;
        char **empty_namespaces; /* "network" */
} CheckpointOptions;

/* CTR_FAILED_PRECONDITION unless RUNNING or PAUSED, or while another one is made; CTR_UNAVAILABLE
 * without CRIU: nothing was changed then. CTR_ALREADY_EXISTS for the name of an image. Options are
 * copied. The callback's object is the Image, if one was made, else the task, or NULL if that is
 * gone. */
int task_checkpoint(Task *t, const CheckpointOptions *options, Callback callback, void *userdata,
                    Error *e);

/* Whether path is a directory that task_create() may be told to restore: CTR_INVALID_ARGUMENT,
 * CTR_NOT_FOUND. */
int checkpoint_check(const char *path, Error *e);

/* CTR_NOT_IMPLEMENTED for a container that can have no checkpoints. */
int checkpoint_check_container(const Container *c, Error *e);

/* t is being freed. */
void checkpoint_task_gone(Task *t);

/* In what a later manager finds: adds what it has to know of a checkpoint that is being made, if
 * one is. 0 or -ENOMEM. */
int checkpoint_save(const Task *t, json_t *state);

/* At the manager's start: takes it from there; 0, -EBADMSG, -ENOMEM. Then, when the state of t is
 * known (flags: SUPERVISOR_STATE_*; 0 if it has ended), waits for the dump, or looks what came of
 * it, and does what comes after: stores it, resumes the task. */
int checkpoint_load(Task *t, json_t *state, Error *e);
void checkpoint_recovered(Task *t, uint32_t flags);

/* Whether the directory of snapshots is one that a checkpoint is being written to. */
bool checkpoint_has_directory(const Manager *m, const char *name);
