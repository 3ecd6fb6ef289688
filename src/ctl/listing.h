/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Listings of the service and how they are shown: as a table, as JSON, or as bare names (-q). */

#include "ctl/client.h"
#include "ctl/table.h"

/* Reads the listing that the reply of a List method holds; sorted by member key. */
int listing_from_reply(sd_bus_message *reply, const char *key, json_t **ret, Error *e);

/* Appends Namespace, AllNamespaces and Filters as the options say to an open a{sv}. */
int message_append_selection(sd_bus_message *m, const Client *c);

/* For Call.append, userdata is the Client: an a{sv} with only these. */
int append_selection(sd_bus_message *m, void *userdata);

/* Shows rows as the options say; name is the member that -q prints. Returns the exit status. */
int listing_show(const Client *c, const Column *columns, size_t n_columns, json_t *rows,
                 const char *name, Error *e);

/* Calls a method that answers with bytes and inodes, and appends both to rows as those of name. */
int listing_add_usage(Client *c, const Call *call, const char *name, json_t *rows, Error *e);

/* A verb that lists things without objects, a(sa{sv}): which method tells, and how it is shown. */
typedef struct NamedListing {
        const char *member; /* of the manager */
        const char *name;   /* what the text is called in JSON; sorted by it, -q prints it */
        const Column *columns;
        size_t n_columns;
        unsigned keys; /* ArgumentKeys beside the namespace */
} NamedListing;

/* Returns the exit status. */
int listing_verb(Client *c, const NamedListing *l, Error *e);

/* The same of what containers use by its name: volumes, secrets. */
int listing_verb_used(Client *c, const char *member, Error *e);

/* A method (s, a{sv}) of the manager with these ArgumentKeys, and its whole answer as one value.
 * what names its kind in messages. */
int named_call(Client *c, const char *member, const char *what, const char *name, unsigned keys,
               json_t **ret, Error *e);

/* The answers for each argument as one array, printed. Returns the exit status. */
int named_inspect(Client *c, const char *member, const char *what, char *const *args, Error *e);
