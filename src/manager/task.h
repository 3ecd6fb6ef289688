/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A task: a container that has been set up, runs or ran. Its truth is outside of the manager: the
 * supervisor (alive or not), the exit record and the scope. Whatever is heard about them leads to
 * task_recheck(), which looks and decides; task_set_status() alone changes the status.
 *
 *   UNKNOWN --> CREATED   the supervisor says that init is set up
 *   CREATED --> RUNNING   START was answered
 *   any     --> STOPPED   there is an exit record, or the supervisor is gone without one
 *
 * A task is linked (visible) from CREATED on.
 */

#include <systemd/sd-event.h>

#include "manager/container.h"
#include "manager/process.h"

struct Task {
        Process process; /* init; its object's name is the container's id */
        Container *container;
        char *unit;
        uint64_t created_at;
        bool oom_killed;
        char *oom_cgroup; /* whose limit was hit; NULL: none, or the system's */

        json_t *limits; /* in force, as systemd says; NULL: as of the container */

        struct Supervisor *supervisor; /* the connection to it, NULL when it is gone */
        struct Launch *launch;         /* while it is being created */
        int dir_fd;
        sd_event_source *schedule_source, *delete_source;
        bool deleting, delete_killed;
};

static inline Task *TASK(Object *o) {
        assert(!o || o->type == OBJECT_TASK);
        return (Task *) o;
}

Task *task_free(Task *t);
DEFINE_CLEANUP(Task *, task_free);

/* CTR_NOT_FOUND with a sentence, also while it is still being created. */
int task_find(Manager *m, const char *namespace, const char *id, Task **ret, Error *e);

typedef struct TaskRequest {
        StdioKind stdio[3];
        const char *path[3]; /* for fifo and file */
        int fd[3];           /* for STDIO_FD; stays the caller's, duplicated */
} TaskRequest;

/* Makes the task; callback(task) when it is CREATED, or with the error and NULL after everything
 * was undone. CTR_ALREADY_EXISTS if the container has one, also a stopped one. */
int task_create(Container *c, const TaskRequest *request, Callback callback, void *userdata,
                Error *e);

/* Runs the user's program. CTR_FAILED_PRECONDITION unless CREATED; CTR_COMMAND_NOT_FOUND and
 * CTR_COMMAND_NOT_EXECUTABLE if it cannot be executed (the task is STOPPED then, with 127, 126). */
int task_start(Task *t, Callback callback, void *userdata, Error *e);

/* Answered when STOPPED, from the event loop if it is already. */
int task_wait(Task *t, Callback callback, void *userdata, Error *e);

/* CTR_NOT_FOUND if it has exited (D6). signo 0 probes. */
int task_kill(Task *t, int signo, bool all, Callback callback, void *userdata, Error *e);

/* A1.27: signo 0 is the container's stop signal. CTR_TIMEOUT without force when the time is up;
 * timeout_usec UINT64_MAX: there is no limit. */
int task_stop(Task *t, int signo, uint64_t timeout_usec, bool force, Callback callback,
              void *userdata, Error *e);

int task_resize(Task *t, unsigned width, unsigned height, Callback callback, void *userdata,
                Error *e);
int task_close_stdin(Task *t, Callback callback, void *userdata, Error *e);

/* CREATED or STOPPED, or any state with force, also while it is being created. callback(task) just
 * before it is gone: the exit fields say how it ended. */
int task_delete(Task *t, bool force, Callback callback, void *userdata, Error *e);
