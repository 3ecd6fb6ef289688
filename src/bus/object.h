/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The objects of the core on the bus: for each kind its interfaces, how a path finds its object and
 * how its children are enumerated. What a listing, GetAll and GetManagedObjects say about an object
 * comes from one and the same vtable.
 */

#include <systemd/sd-bus.h>

#include "bus/path.h"

typedef struct Service Service;

typedef struct BusInterface {
        const char *name;
        const sd_bus_vtable *vtable;
} BusInterface;

#define BUS_OBJECT_INTERFACES_MAX 2

typedef struct BusObjectKind {
        ObjectType type;
        BusInterface interfaces[BUS_OBJECT_INTERFACES_MAX + 1]; /* one without a name ends them */
} BusObjectKind;

const BusObjectKind *bus_object_kind(ObjectType type) _const_;

/* Adds the vtables, finders and enumerators of all kinds. */
int bus_objects_register(Service *s);

/* Appends (oa{sv}): the path and the properties of all of the object's interfaces. */
int bus_object_append(sd_bus_message *m, Object *o, sd_bus_error *error);

/* Replies with a(oa{sv}) of all objects of the kind in namespace (NULL: all) for which filter
 * (may be NULL) is true. */
int bus_objects_reply(sd_bus_message *m, Manager *manager, ObjectType type, const char *namespace,
                      bool (*filter)(Object *o, void *userdata), void *userdata,
                      sd_bus_error *error);
