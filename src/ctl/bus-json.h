/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * D-Bus values as JSON: what the tables are made of and what --json prints. Arrays and structures
 * are arrays, dictionaries with strings or paths as keys are objects, a variant is what is in it.
 */

#include <systemd/sd-bus.h>

#include "basic/json.h"

/* Reads the next complete value of m. An unsigned 64 bit number that JSON readers cannot hold
 * becomes a string ("infinity" for UINT64_MAX). 0, -ENXIO at the end of the message or container,
 * -EBADMSG, -ENOMEM. */
int bus_message_read_json(sd_bus_message *m, json_t **ret);

/* Reads a listing a(oa{sv}) as an array of objects: the properties, and the path as "ObjectPath".
 */
int bus_message_read_listing(sd_bus_message *m, json_t **ret);

/* Reads a listing a(sa{sv}) of things without objects: the dictionaries, and the text as member
 * key. */
int bus_message_read_named(sd_bus_message *m, const char *key, json_t **ret);
