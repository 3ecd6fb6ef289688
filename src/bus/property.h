/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Property getters by type: userdata points at the field, as the offset in the vtable says. Every
 * property of ours has a getter, none relies on the defaults of sd-bus.
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

#define BUS_GETTER(name)                                                                           \
        int name(sd_bus *bus, const char *path, const char *interface, const char *property,       \
                 sd_bus_message *reply, void *userdata, sd_bus_error *error)

BUS_GETTER(property_get_string); /* char *; NULL is "" */
BUS_GETTER(property_get_bool);   /* bool */
BUS_GETTER(property_get_uint64); /* uint64_t */
BUS_GETTER(property_get_labels); /* json_t *: {key: value}; NULL is empty */

/* Appends them as a{ss}; NULL is empty. */
int labels_append(sd_bus_message *m, json_t *labels);

/* The same as the entry "Labels" of an open a{sv}. */
int labels_append_entry(sd_bus_message *m, json_t *labels);

/* Replies with an array of strings as "as". */
int strings_reply(sd_bus_message *m, json_t *strings);
