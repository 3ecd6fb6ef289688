/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of the start: the scan (recover.c), the store (recover-store.c), each task
 * (recover-task.c) and its execs (recover-exec.c). */

#include "manager/manager.h"
#include "manager/task-internal.h"

typedef struct Recovery {
        Manager *manager;
        char **scopes;
        bool scopes_known;
        bool incomplete; /* not everything in /run/ctr/tasks could be looked at */
        Callback callback;
        void *userdata;
        size_t n_pending; /* tasks whose supervisor has not answered yet, and one for the scan */
} Recovery;

/* One that was waited for is through. */
void recovery_unref(Recovery *v);

/* Or may be. */
bool recovery_scope_is_active(const Recovery *v, const char *unit);

int recover_store(Manager *m, Error *e);

/* Takes dir_fd over on success; calls recovery_unref() when the task's state is known. */
int recover_task(Recovery *v, Container *c, int dir_fd);

/* What a former manager asked of p and did not live to hear the answer of is asked for again, by
 * the flags of its state (SUPERVISOR_STATE_STARTING, SUPERVISOR_STATE_PAUSING): the answer to that
 * is the outcome of what is under way. */
void recover_ask_again(Process *p, uint32_t flags);

/* Makes an exec, in status UNKNOWN, of every document in the task's directory. One that is damaged
 * is set aside. */
void recover_execs(Task *t);

/* The supervisor of t was heard: asks it about each exec that has no record. Returns how many there
 * are: done(exec) is called once for each, with NULL for one that never was and with -ESHUTDOWN
 * when the manager ends. */
size_t recover_execs_ask(Task *t, Callback done, void *userdata);
