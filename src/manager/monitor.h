/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who looks after tasks besides those that asked for them (A4.16): each monitor is attached to
 * every task when it is created, or found at the start (A5.3), and detached before the task is
 * deleted (A5.11). If one refuses a new task, the task is undone (A5.9).
 *
 * Invariant: attach and detach come in pairs, and everything between them is about a task that is
 * there.
 */

#include "basic/error.h"

typedef struct Manager Manager;
typedef struct Task Task;

#define MONITORS_MAX 4U

typedef struct TaskMonitor {
        const char *name;
        /* 0, or an error with its sentence */
        int (*attach)(Task *t, Error *e);
        void (*detach)(Task *t); /* may be NULL */
        /* the task is STOPPED; may be NULL */
        void (*exited)(Task *t);
} TaskMonitor;

/* In the order in which they are attached; for the manager's lifetime. */
void monitor_register(Manager *m, const TaskMonitor *monitor);

/* Attaches all, or none: the first error ends it and is returned. */
int monitor_attach(Task *t, Error *e);
void monitor_detach(Task *t);

void monitor_exited(Task *t);
