/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A task whose container is made by another OCI runtime (TaskLaunch.runtime): its command line
 * takes the place of runtime/container.h and runtime/exec.h. What it makes are processes in our
 * payload, and they become our children when the runtime ends; from there on a task is like any
 * other: signals, the freezer, the streams, the exit record and the way out are the same.
 *
 *   GO           "create", waited for; init is adopted
 *   START        "start"
 *   EXEC_START   "exec --detach"; the process is adopted
 *   the end      "delete --force", when nothing of the payload lives any more
 *
 * The runtime's own runs are in a cgroup beside the container's, below the payload: what hangs ends
 * with the payload. Its state is in the task's directory and ends with that.
 *
 * Invariant: while a run may leave a process to us, no child is reaped that nobody knows.
 */

#include "runtime/container.h"
#include "runtime/exec.h"
#include "supervisor/foreign-run.h"
#include "supervisor/supervisor.h"

/* Checks the program and makes its place. CTR_UNAVAILABLE if it cannot be executed,
 * CTR_NOT_IMPLEMENTED for a task that is to be restored. */
int foreign_new(Supervisor *s, const char *task_dir, Error *e);
Foreign *foreign_free(Foreign *f);

/* Makes the container, which takes at most usec; s->container is it then. */
int foreign_create(Supervisor *s, uint64_t usec, Error *e);

/* As container_start_begin(), container_start_fd() and container_start_receive(). Whether the
 * program could be executed may be known by its exit status only. end: nobody waits any more. */
int foreign_start_begin(Foreign *f, Error *e);
int foreign_start_fd(const Foreign *f) _pure_;
int foreign_start_receive(Foreign *f, bool *ret_done, Error *e);
void foreign_start_end(Foreign *f);
bool foreign_is_starting(const Foreign *f) _pure_;

/* As container_exec_clone(), container_exec_receive() and container_exec_free(), with x->run. */
int foreign_exec_begin(Exec *x, Error *e);
int foreign_exec_receive(Exec *x, ContainerExecNews *ret, Error *e);
void foreign_exec_end(Exec *x);

/* Whether the child is a run of the runtime, or may be what one leaves to us. */
bool foreign_owns(const Supervisor *s, pid_t pid) _pure_;

/* Ends what is left of the container, and has the runtime forget it. */
void foreign_end(Supervisor *s);
