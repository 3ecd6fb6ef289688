/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the interfaces Task and Process share. */

#include <systemd/sd-bus.h>

#include "bus/late.h"
#include "manager/task.h"

#define SIGNAL_MAX 64 /* SIGRTMAX of the kernel; that of libc is a variable */

#define PTY_SIZE_MAX 65535U /* struct winsize has 16 bits */

/* authorize(), or authorize_more(), with the task's namespace, container and image. */
int task_authorize(Task *t, sd_bus_message *m, sd_bus_error *error);
int task_authorize_more(Task *t, sd_bus_message *m, sd_bus_error *error);

/* The same for the task of p, or by what an exec needs; more: see authorize_exec(). */
int process_authorize(Process *p, sd_bus_message *m, bool more, sd_bus_error *error);

/* process_authorize(), then late_new(). 1: go on with *ret; otherwise as authorize(). */
int process_begin(Process *p, sd_bus_message *m, LateReply reply, Late **ret, sd_bus_error *error);

/* The same for a method of the task; with task_authorize_more() if more. */
int task_begin(Task *t, sd_bus_message *m, bool more, LateReply reply, Late **ret,
               sd_bus_error *error);

/* A Callback with a Late, for what is asked of a supervisor: if that has just ended, with the
 * process, the answer is that of a moment later. */
void process_request_complete(Object *o, int r, const Error *e, void *userdata);

/* late_started(), for the same. */
int process_request_started(Late *late, Process *p, int r, Error *e, sd_bus_error *error);

/* A LateReply: exit_status (u), exited_at (t). */
int process_reply_exit(sd_bus_message *m, Object *o);

/* Of Task, in exec-methods.c. */
int method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_pids(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Of Task, in checkpoint-methods.c. */
int method_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Of Task, in stats-methods.c. */
int method_stats(sd_bus_message *m, void *userdata, sd_bus_error *error);
