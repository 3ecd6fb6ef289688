/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of a task: its state (task.c), its birth (launch.c, launch-documents.c), what
 * is asked of it (task-operations.c), its end (task-delete.c) and finding it again after a restart
 * (recover.c). */

#include "manager/process-internal.h"
#include "manager/supervisor.h"
#include "manager/task.h"

typedef struct Launch Launch;

extern const SupervisorHandlers task_supervisor_handlers;

/* An unlinked task of c in status UNKNOWN, attached to it. dir_fd is taken over on success. */
int task_new(Container *c, int dir_fd, Task **ret);

/* Looks at the record and the supervisor and decides what the task is now. Idempotent. */
void task_recheck(Task *t);

/* Whether a record was not read (r) for want of memory or descriptors: that is no damaged one. The
 * task and its execs are looked at again a little later. */
bool task_read_again(Task *t, int r);

/* As task_recheck(), of either kind. */
void process_recheck(Process *p);

void task_scheduled(Task *t);

/* task_resume() without a look at the status, by who has paused it: also of one that the supervisor
 * may be about to freeze. */
int task_thaw(Task *t, Callback callback, void *userdata, Error *e);

int task_delete(Task *t, bool force, Callback callback, void *userdata, Error *e);

/* The manager ends: everybody who waits for the task or for its execs is told -ESHUTDOWN. */
void task_abandon(Task *t);

/* Opens (making it if need be) or removes /run/ctr/tasks/<namespace>/<id>. */
int task_dir_open(Manager *m, const char *namespace, const char *id, bool make);
int task_dir_remove(Manager *m, const char *namespace, const char *id);

/* Writes what the supervisor reads, into the task's directory (launch-documents.c), and what
 * journald does. *ret_rdt_class: a new string, or untouched if the document names none. */
int launch_write_documents(Task *t, const TaskRequest *request, char **ret_rdt_class, Error *e);
void launch_write_log_fields(Task *t);

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
