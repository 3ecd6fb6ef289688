/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The limits of tasks that run. Their one truth is the scope's unit properties (E4, C14): systemd
 * keeps them over a daemon-reload, and whoever changes them with systemctl set-property is heard.
 * What an Update changes is also written to the container's record, for its later tasks, and into
 * its OCI document; what set-property changes is of this scope and ends with it.
 */

#include <jansson.h>

#include "manager/task.h"

typedef struct Limits Limits;

/* Starts to watch for what others change. directory: UNIT_TRANSIENT_DIR, or NULL. */
int limits_new(Manager *m, const char *directory, Limits **ret, Error *e);

/* Callers that wait are told -ESHUTDOWN. */
Limits *limits_free(Limits *l);

/* Those that are set: {unit property: value}, as in unit/properties.h, without devices. Never NULL;
 * valid until the event loop goes on. */
json_t *task_limits(const Task *t);

/* Changes those that are named, all or nothing (D5): CTR_FAILED_PRECONDITION when STOPPED,
 * CTR_INVALID_ARGUMENT with the property's name. callback(task) when systemd and the record have
 * them. */
int task_update(Task *t, json_t *resources, Callback callback, void *userdata, Error *e);

/* The tasks are known: asks about those that were changed by others before. */
void limits_recovered(Limits *l);
