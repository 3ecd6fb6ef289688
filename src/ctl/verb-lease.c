/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lease ls, create, rm, add and show: what keeps content and snapshots that nothing else needs. */

#include "ctl/arguments.h"
#include "ctl/batch.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

int verb_lease_ls(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                        {"ID", "Id", NULL, COLUMN_SHORTEN},
                        {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
                        {"EXPIRES", "Expires", cell_in, COLUMN_SHORTEN},
        };

        return listing_verb(c,
                            &(NamedListing){.member = "ListLeases",
                                            .name = "Id",
                                            .columns = columns,
                                            .n_columns = ELEMENTSOF(columns),
                                            .keys = KEY_ALL_NAMESPACES},
                            e);
}

int verb_lease_create(Client *c, char **args, Error *e) {
        Arguments arguments = {.client = c,
                               .texts = {strempty(args[0])},
                               .keys = KEY_LABELS | KEY_EXPIRES};
        /* a name of the service's own would be another one the second time */
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "CreateLease",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .once = !args[0]};
        sd_bus_message *reply = NULL;
        const char *id;
        int r;

        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = sd_bus_message_read(reply, "s", &id);
        if (r >= 0)
                puts(id);
        sd_bus_message_unref(reply);
        if (r < 0)
                (void) error_setf(e, r, "Failed to read the lease: %m");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int verb_lease_rm(Client *c, char **args, Error *e) {
        return batch_methods(c, "lease rm", "DeleteLease", 0, args, e);
}

static int change_resource(Client *c, const char *member, char **args, Error *e) {
        Arguments arguments = {.client = c, .texts = {args[0], args[1], args[2]}};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = &arguments};

        if (client_connect(c, e) != 0 || client_call(c, &call, NULL, e) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

int verb_lease_add(Client *c, char **args, Error *e) {
        return change_resource(c, "AddLeaseResource", args, e);
}

int verb_lease_drop(Client *c, char **args, Error *e) {
        return change_resource(c, "RemoveLeaseResource", args, e);
}

/* a(ss) as rows of a table. */
static int read_resources(sd_bus_message *m, json_t **ret) {
        _cleanup_json_ json_t *pairs = NULL, *rows = json_array();
        json_t *pair;
        size_t i;
        int r;

        r = rows ? bus_message_read_json(m, &pairs) : -ENOMEM;
        if (r < 0)
                return r;
        json_array_foreach(pairs, i, pair) {
                json_t *row = json_pack("{s:O, s:O}", "Type", json_array_get(pair, 0), "Key",
                                        json_array_get(pair, 1));

                if (!row || json_array_append_new(rows, row) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(rows);
        return 0;
}

int verb_lease_show(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"TYPE", "Type", NULL, 0},
                        {"KEY", "Key", NULL, COLUMN_SHORTEN},
        };
        Arguments arguments = {.client = c, .texts = {args[0]}};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ListLeaseResources",
                           .append = append_arguments,
                           .userdata = &arguments};
        _cleanup_json_ json_t *rows = NULL;
        sd_bus_message *reply = NULL;
        int r;

        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = read_resources(reply, &rows);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to read what the lease keeps: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Key", e);
}
