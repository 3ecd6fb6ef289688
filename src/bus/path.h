/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Object paths: where each kind of object is on the bus, and which object a path names.
 *
 * Invariant: an object has exactly one path. A path whose escapes are not the ones that
 * sd_bus_path_encode(3) makes names nothing.
 */

#include <systemd/sd-bus.h>

#include "manager/object.h"

#define BUS_NAME   "org.example.Ctr"
#define BUS_PATH   "/org/example/Ctr"
#define BUS_PREFIX "org.example.Ctr."

/* "/org/example/Ctr/container"; that of execs is the tasks', below which they are. */
const char *bus_path_prefix(ObjectType type) _const_;

/* A new path; 0 or -ENOMEM. */
int bus_path_new(ObjectType type, const char *namespace, const char *name, char **ret);
int bus_path_of(const Object *o, char **ret);

/* Replies with the path of o. A LateReply, too. */
int bus_reply_path(sd_bus_message *m, Object *o);

/* 1 and both parts (namespace "" for jobs), 0 if path is none of this type, or -ENOMEM. */
int bus_path_parse(ObjectType type, const char *path, char **ret_namespace, char **ret_name);
