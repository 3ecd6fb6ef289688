/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A process that can be waited for, signalled and deleted: the init of a task, or one of its execs
 * (manager/task.h, manager/exec.h). Both are shown with the same interface, and embed this head.
 *
 * Invariant: process_set_status() alone changes a status, by one table of edges; STOPPED is the
 * last, and how it ended is told once.
 */

#include "manager/object.h"
#include "supervisor/record.h"

typedef enum TaskStatus {
        TASK_UNKNOWN,
        TASK_CREATED,
        TASK_RUNNING,
        TASK_PAUSING,
        TASK_PAUSED,
        TASK_STOPPED,
        _TASK_STATUS_MAX,
} TaskStatus;

/* "CREATED" ...; never NULL. */
const char *task_status_to_string(TaskStatus s) _const_;

typedef struct Process {
        Object object; /* OBJECT_TASK, or OBJECT_EXEC with the name "ID/EXEC" */
        TaskStatus status;
        pid_t pid; /* while it lives */
        bool terminal;
        bool starting;
        uint64_t started_at;
        uint64_t run; /* tells this use of the id from others: the time of its creation, as stored
                       * with it, so that a restarted manager finds the same */
        bool ran;     /* its program was executed: there was no error of START, in its record
                       * either */
        unsigned events; /* the steps that were noted, see manager/event.h */

        /* when STOPPED */
        int exit_status;
        bool exit_known;
        uint64_t exited_at;
        pid_t exit_pid;

        Waiter *exit_waiters;
        Waiter *delete_waiters;
} Process;
