/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the interfaces Task and Process share. */

#include <systemd/sd-bus.h>

#include "bus/late.h"
#include "manager/task.h"

#define SIGNAL_MAX 64 /* SIGRTMAX of the kernel; that of libc is a variable */

/* authorize() with the task's namespace, container and image. */
int task_authorize(Task *t, sd_bus_message *m, sd_bus_error *error);

/* task_authorize(), then late_new(). 1: go on with *ret;
 * otherwise as authorize(). */
int task_begin(Task *t, sd_bus_message *m, LateReply reply, Late **ret, sd_bus_error *error);

/* A LateReply: exit_status (u), exited_at (t). */
int task_reply_exit(sd_bus_message *m, Object *o);

/* Of Task, in stats-methods.c. */
int method_stats(sd_bus_message *m, void *userdata, sd_bus_error *error);
