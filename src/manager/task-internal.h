/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of a task: its state (task.c), its birth (launch.c), what is asked of it
 * (task-operations.c) and finding it again after a restart (recover.c). */

#include "manager/supervisor.h"
#include "manager/task.h"

typedef struct Launch Launch;

/* The file with what the manager alone knows: times. */
#define TASK_FILE_STATE "state.json"
#define TASK_STATE_MAX  4096U

extern const SupervisorHandlers task_supervisor_handlers;

/* An unlinked task of c in status UNKNOWN, attached to it. dir_fd is taken over on success. */
int task_new(Container *c, int dir_fd, Task **ret);

/* The one place that changes a status: checks the edge, saves, marks dirty. */
void task_set_status(Task *t, TaskStatus status);

/* Looks at the record and the supervisor and decides what the task is now. Idempotent. */
void task_recheck(Task *t);

/* From the event loop: answers waiters of a stopped task, goes on with a deletion. */
int task_schedule(Task *t);

/* What a former manager saved in TASK_FILE_STATE. */
void task_load_times(Task *t);

/* Opens (making it if need be) or removes /run/ctr/tasks/<namespace>/<id>. */
int task_dir_open(Manager *m, const char *namespace, const char *id, bool make);
int task_dir_remove(Manager *m, const char *namespace, const char *id);

/* What a pushed message and the supervisor's end mean while the task is being made. */
void launch_message(Task *t, const SupervisorMessage *m);
void launch_supervisor_gone(Task *t);
Launch *launch_free(Launch *l);

/* Undoes a launch: its caller gets CTR_CANCELED, the task's delete waiters are told when it is
 * gone. */
void launch_cancel(Task *t);

/* The manager ends: the launch's caller is told -ESHUTDOWN, the supervisor sees end of file. */
void launch_abandon(Task *t);

/* The task's scope was unloaded. */
void task_unit_removed(Task *t);
void launch_unit_removed(Task *t);

/* Goes on with a deletion that waits for the exit or for the supervisor. */
void task_continue_delete(Task *t);
