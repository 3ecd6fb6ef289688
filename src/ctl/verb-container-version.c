/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* version create, ls, rollback and rm: states of a container's root file system to come back to. */

#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/verbs.h"

static int parse_version(const char *s, uint32_t *ret, Error *e) {
        OptionalU64 value = {};

        if (parse_count(s, &value, NULL) != 0 || value.value == 0 || value.value > UINT32_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not the number of a version",
                                  s);
        *ret = (uint32_t) value.value;
        return 0;
}

/* Calls a method of a container; stopping what runs may take its time. */
static int call_container(Client *c, const char *id, const char *member, Arguments *arguments,
                          sd_bus_message **ret, Error *e) {
        _cleanup_free_ char *path = client_object_path(c, "container", id);
        const Call call = {.path = path,
                           .interface = INTERFACE_CONTAINER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = arguments,
                           .what = "container",
                           .name = id,
                           .timeout = UINT64_MAX,
                           .once = true};

        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        arguments->client = c;
        arguments->on_object = true;
        if (client_connect(c, e) != 0)
                return e->code;
        return client_call(c, &call, ret, e);
}

int verb_version_create(Client *c, char **args, Error *e) {
        Arguments arguments = {.keys = KEY_STOP_TIMEOUT | KEY_START | KEY_LABELS};
        sd_bus_message *reply = NULL;
        uint32_t version;
        int r;

        if (call_container(c, args[0], "CreateVersion", &arguments, &reply, e) != 0)
                return EXIT_FAILURE;
        r = sd_bus_message_read(reply, "us", &version, NULL);
        if (r >= 0)
                printf("%u\n", (unsigned) version);
        sd_bus_message_unref(reply);
        if (r < 0)
                (void) error_setf(e, r, "Failed to read the version: %m");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* a(ussta{ss}) as rows of a table. */
static int read_versions(sd_bus_message *m, json_t **ret) {
        static const char *const keys[] = {"Version", "Snapshot", "Parent", "CreatedAt", "Labels"};
        _cleanup_json_ json_t *tuples = NULL, *rows = json_array();
        json_t *tuple;
        size_t i;
        int r;

        r = rows ? bus_message_read_json(m, &tuples) : -ENOMEM;
        if (r < 0)
                return r;
        json_array_foreach(tuples, i, tuple) {
                json_t *row = json_object();

                if (!row || json_array_append_new(rows, row) < 0)
                        return -ENOMEM;
                for (size_t k = 0; k < ELEMENTSOF(keys); k++)
                        if (json_object_set(row, keys[k], json_array_get(tuple, k)) < 0)
                                return -ENOMEM;
        }
        *ret = TAKE_PTR(rows);
        return 0;
}

int verb_version_ls(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"VERSION", "Version", NULL, COLUMN_RIGHT},
                        {"SNAPSHOT", "Snapshot", NULL, COLUMN_SHORTEN},
                        {"PARENT", "Parent", NULL, COLUMN_SHORTEN},
                        {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
        };
        Arguments arguments = {};
        _cleanup_json_ json_t *rows = NULL;
        sd_bus_message *reply = NULL;
        int r;

        if (call_container(c, args[0], "ListVersions", &arguments, &reply, e) != 0)
                return EXIT_FAILURE;
        r = read_versions(reply, &rows);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to read the versions: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Snapshot", e);
}

static int change_version(Client *c, const char *member, unsigned keys, char **args, Error *e) {
        uint32_t version;
        Arguments arguments = {.number = &version, .keys = keys};

        if (parse_version(args[1], &version, e) != 0 ||
            call_container(c, args[0], member, &arguments, NULL, e) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

int verb_version_rollback(Client *c, char **args, Error *e) {
        return change_version(c, "Rollback", KEY_STOP_TIMEOUT | KEY_START, args, e);
}

int verb_version_rm(Client *c, char **args, Error *e) {
        return change_version(c, "DeleteVersion", 0, args, e);
}
