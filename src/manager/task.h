/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A task: a container that has been set up, runs or ran. Its truth is outside of the manager: the
 * supervisor (alive or not), the exit record and the scope. Whatever is heard about them leads to
 * task_recheck(), which looks and decides.
 *
 *   UNKNOWN --> CREATED   the supervisor says that init is set up
 *   CREATED --> RUNNING   START was answered
 *   any     --> STOPPED   there is an exit record, or the supervisor is gone without one; its execs
 *                         have stopped first
 *
 * A task is linked (visible) from CREATED on.
 */

#include "manager/container.h"
#include "manager/process.h"

struct Task {
        Process process; /* init; its object's name is the container's id */
        Container *container;
        char *unit;
        char *runtime; /* as it was asked for, for this task or for the container */
        bool oom_killed;
        char *oom_cgroup; /* whose limit was hit; NULL: none, or the system's */
        char *checkpoint; /* what it is restored from, as named by the caller; NULL: nothing */
        char *checkpoint_directory; /* see checkpoint-restore.h; NULL: none of ours */
        struct Dump *dump;          /* a checkpoint that is being made */
        bool committing;            /* paused by a commit, or about to be: see manager/commit.h */
        bool dump_exit;             /* it is to end the task, or has: as a user's stop does */

        json_t *limits; /* in force, as systemd says; NULL: as of the container */

        struct Supervisor *supervisor; /* the connection to it, NULL when it is gone */
        struct Launch *launch;         /* while it is being created */
        int dir_fd;
        struct Exec *execs; /* in no order */
        size_t n_execs;
        bool monitored; /* see manager/monitor.h */
        sd_event_source *delete_source;
        sd_event_source *read_source; /* see task_read_again() */
        bool delete_killed;
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
        StreamsRequest streams;
        const char *checkpoint; /* what Start restores, as the caller called it; NULL: nothing */
        const char *checkpoint_path; /* its directory */
        const char *runtime;         /* for this task only; NULL: the container's */
} TaskRequest;

/* Makes the task; callback(task) when it is CREATED, or with the error and NULL after everything
 * was undone. CTR_ALREADY_EXISTS if the container has one, also a stopped one. */
int task_create(Container *c, const TaskRequest *request, Callback callback, void *userdata,
                Error *e);

/* The program that makes the container of such a task, as runtime_resolve(). CTR_NOT_IMPLEMENTED
 * for what another runtime than ours cannot do: map ids, or restore a checkpoint. */
int task_resolve_runtime(const Container *c, const TaskRequest *request, char **ret, Error *e);

/* A1.27: signo 0 is the container's stop signal. CTR_TIMEOUT without force when the time is up;
 * timeout_usec UINT64_MAX: there is no limit. A paused task is resumed for it. */
int task_stop(Task *t, int signo, uint64_t timeout_usec, bool force, Callback callback,
              void *userdata, Error *e);

/* CTR_FAILED_PRECONDITION unless RUNNING, or PAUSED and neither a checkpoint nor a commit relies on
 * that. PAUSING is seen while the freeze goes on (D3); CTR_DEADLINE_EXCEEDED: it runs on. */
int task_pause(Task *t, Callback callback, void *userdata, Error *e);
int task_resume(Task *t, Callback callback, void *userdata, Error *e);

typedef struct TaskPid {
        pid_t pid;
        const char *exec_id; /* "" for init and all that is no exec; as long as the exec */
} TaskPid;

/* Every process of the container, ascending (D23); none when it has stopped. *ret is to be freed.
 */
int task_pids(Task *t, TaskPid **ret, size_t *ret_n, Error *e);

/* A new string with the OCI document that it was made from (A2.2). */
int task_read_spec(Task *t, char **ret, Error *e);
