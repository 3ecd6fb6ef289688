/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The answer of the methods that list what has rows and no objects (content, snapshots, volumes,
 * secrets): a(sa{sv}), a name and the properties of each. */

#include <jansson.h>

#include "basic/error.h"
#include "basic/filter.h"
#include "manager/manager.h"
#include <systemd/sd-bus.h>

typedef struct Listing {
        Manager *manager;
        const char *namespace;   /* NULL: all of them */
        const char *snapshotter; /* NULL: all of them; of snapshots only */
        const Filter *filters;
        sd_bus_message *reply; /* of listing_reply() */
} Listing;

/* Appends what there is with listing_entry_open(), one after the other. */
typedef int (*ListingFill)(Listing *l, Error *e);

/* Answers m with what fill() appends, or with its error. */
int listing_reply(sd_bus_message *m, Listing *l, ListingFill fill, sd_bus_error *error);

/* Between the two the properties (a{sv}) are appended. */
int listing_entry_open(const Listing *l, const char *name);
int listing_entry_close(const Listing *l);

/* Appends an entry of a{sv}: the names (an array of strings) of the containers that use something.
 */
int containers_append_entry(sd_bus_message *m, const json_t *names);
