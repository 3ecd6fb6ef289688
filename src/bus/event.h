/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events of the core on the bus: the signal Event, the one of its topic, and their history. */

#include "basic/filter.h"
#include "bus/service.h"
#include "manager/event.h"

/* Sends both signals. 0 or negative errno. */
int event_signal(Service *s, const Event *event);

/* Appends details as a{sv}; what each key is says dbus/org.example.Ctr.xml. */
int event_append_details(sd_bus_message *m, json_t *details);

/* A FilterLookup: topic, namespace and event.KEY of an EventField. */
typedef struct EventField {
        const Event *event;
        char *number; /* where numbers are written to, of EVENT_NUMBER_SIZE */
} EventField;
#define EVENT_NUMBER_SIZE 24

bool event_lookup(const void *object, const FilterField *field, const char **ret);
