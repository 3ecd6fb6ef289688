/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An exec: a further process of a task, added and then started. Like the task's its truth is
 * outside: the supervisor, and the exec's record.
 *
 *   UNKNOWN --> CREATED   the supervisor agreed to add it: from here on it is linked (visible)
 *   CREATED --> RUNNING   EXEC_START was answered
 *   any     --> STOPPED   there is a record, or the task has ended without one
 *
 * Invariant: an id is taken from task_exec() until the exec is gone (D16), and an exec has stopped
 * before its task has (D10).
 */

#include "manager/container.h"
#include "manager/task.h"

typedef struct Exec {
        Process process;
        Task *task;
        struct Exec *task_next;
        char *id;
        bool adding;      /* the supervisor has not agreed yet: it is none, and has no end */
        bool auto_remove; /* deleted when it has exited */
        char *client;     /* who added it, if that one's end before its start is its own; or NULL */
        bool client_gone;
        bool delete_sent, kill_sent;
        sd_event_source *delete_source;
} Exec;

static inline Exec *EXEC(Object *o) {
        assert(!o || o->type == OBJECT_EXEC);
        return (Exec *) o;
}

/* What differs from the container's own process. Everything stays the caller's. */
typedef struct ExecRequest {
        const char *id;
        char **command;
        char **environment;      /* NAME=VALUE sets, NAME removes */
        char *working_directory; /* NULL: the container's */
        char *user;              /* NULL: the container's */
        char **capabilities_add, **capabilities_drop;
        ContainerRlimit *rlimits; /* replace those of the same name */
        size_t n_rlimits;
        bool no_new_privileges_set, no_new_privileges;
        bool terminal;
        uint32_t width, height; /* of the terminal; 0: not said */
        StreamsRequest streams;
        bool start; /* at once; if it cannot be executed nothing is left of it */
        bool auto_remove;
        const char *client; /* who asks, in any words that name nobody else ever; or NULL */
} ExecRequest;

/* Adds it; callback(exec) when it is CREATED (with start: RUNNING, or STOPPED already), or with the
 * error and NULL after everything was undone. CTR_INVALID_ARGUMENT, CTR_ALREADY_EXISTS,
 * CTR_FAILED_PRECONDITION unless the task is CREATED or RUNNING (D5). */
int task_exec(Task *t, const ExecRequest *request, Callback callback, void *userdata, Error *e);

/* The clients that is_gone() knows are gone: what they have added with auto_remove is deleted
 * unless it was started by then, for nobody is left who would. */
void execs_forget_clients(Manager *m, bool (*is_gone)(const char *client, void *userdata),
                          void *userdata);

/* CTR_NOT_FOUND with a sentence. */
int exec_find(Manager *m, const char *namespace, const char *id, const char *exec_id, Exec **ret,
              Error *e);
