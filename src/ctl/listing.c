/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/listing.h"

#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/container-keys.h"
#include "ctl/output.h"
#include "ctl/text.h"

static int compare_rows(const void *a, const void *b, void *key) {
        const char *x = json_string_value(json_object_get(*(json_t *const *) a, key));
        const char *y = json_string_value(json_object_get(*(json_t *const *) b, key));

        return strcmp(strempty(x), strempty(y));
}

static int sort_rows(json_t *rows, const char *key) {
        size_t n = json_array_size(rows);
        _cleanup_free_ json_t **sorted = NULL;

        sorted = calloc(n + 1, sizeof(json_t *));
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_incref(json_array_get(rows, i));
        qsort_r(sorted, n, sizeof(json_t *), compare_rows, (void *) key);
        for (size_t i = 0; i < n; i++)
                (void) json_array_set_new(rows, i, sorted[i]);
        return 0;
}

int listing_from_reply(sd_bus_message *reply, const char *key, json_t **ret, Error *e) {
        int r;

        r = bus_message_read_listing(reply, ret);
        if (r >= 0)
                r = sort_rows(*ret, key);
        return r < 0 ? error_setf(e, r, "Failed to read the listing: %m") : 0;
}

int message_append_selection(sd_bus_message *m, const Client *c) {
        const Options *o = c->options;
        int r;

        r = message_append_namespace(m, c);
        if (r >= 0 && o->all_namespaces)
                r = sd_bus_message_append(m, "{sv}", "AllNamespaces", "b", true);
        if (r >= 0 && o->filters)
                r = message_append_list(m, "Filters", o->filters);
        return r;
}

int append_selection(sd_bus_message *m, void *userdata) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_selection(m, userdata);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int show_names(json_t *rows, const char *name) {
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                _cleanup_free_ char *text = text_escape(
                                strempty(json_string_value(json_object_get(row, name))));

                if (!text)
                        return -ENOMEM;
                puts(text);
        }
        return 0;
}

int listing_show(const Client *c, const Column *columns, size_t n_columns, json_t *rows,
                 const char *name, Error *e) {
        const Options *o = c->options;
        unsigned width = o->full ? 0 : terminal_columns(STDOUT_FILENO);
        Pager pager = PAGER_NULL;
        int r, k;

        pager_open(&pager, o);
        if (o->json != JSON_MODE_OFF)
                r = print_json(rows, o->json);
        else if (o->quiet)
                r = show_names(rows, name);
        else
                r = table_print(stdout, columns, n_columns, rows, !o->no_legend, width);
        k = pager_close(&pager);
        if (r >= 0)
                r = k;
        if (r < 0 && r != -EPIPE) {
                (void) error_setf(e, r, "Failed to print the listing: %m");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

int listing_add_usage(Client *c, const Call *call, const char *name, json_t *rows, Error *e) {
        sd_bus_message *reply = NULL;
        uint64_t bytes, inodes;
        int r;

        r = client_call(c, call, &reply, e);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "tt", &bytes, &inodes);
        sd_bus_message_unref(reply);
        if (r >= 0)
                r = json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "Name", name, "Bytes",
                                                          (json_int_t) bytes, "Inodes",
                                                          (json_int_t) inodes)) < 0
                                    ? -ENOMEM
                                    : 0;
        return r < 0 ? error_setf(e, r, "Failed to read the usage of \"%s\": %m", name) : 0;
}

int listing_verb(Client *c, const NamedListing *l, Error *e) {
        Arguments arguments = {.client = c, .keys = l->keys};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = l->member,
                           .append = append_arguments,
                           .userdata = &arguments};
        size_t skip = streq(l->columns[0].key, "Namespace") && !c->options->all_namespaces ? 1 : 0;
        _cleanup_json_ json_t *rows = NULL;
        sd_bus_message *reply = NULL;
        int r;

        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = bus_message_read_named(reply, l->name, &rows);
        if (r >= 0)
                r = sort_rows(rows, l->name);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to read the listing: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, l->columns + skip, l->n_columns - skip, rows, l->name, e);
}

int listing_verb_used(Client *c, const char *member, Error *e) {
        static const Column columns[] = {
                        {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                        {"NAME", "Name", NULL, COLUMN_SHORTEN},
                        {"CONTAINERS", "Containers", cell_length, COLUMN_RIGHT},
                        {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
        };

        return listing_verb(c,
                            &(NamedListing){.member = member,
                                            .name = "Name",
                                            .columns = columns,
                                            .n_columns = ELEMENTSOF(columns),
                                            .keys = KEY_FILTERS | KEY_ALL_NAMESPACES},
                            e);
}

int named_call(Client *c, const char *member, const char *what, const char *name, unsigned keys,
               json_t **ret, Error *e) {
        Arguments arguments = {.client = c, .texts = {name}, .keys = keys};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = what,
                           .name = name};
        sd_bus_message *reply = NULL;
        int r;

        if (client_call(c, &call, &reply, e) != 0)
                return e->code;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the answer to %s: %m", member) : 0;
}

int named_inspect(Client *c, const char *member, const char *what, char *const *args, Error *e) {
        _cleanup_json_ json_t *things = json_array();

        if (!things || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (; *args; args++) {
                json_t *thing = NULL;

                if (named_call(c, member, what, *args, 0, &thing, e) != 0)
                        return EXIT_FAILURE;
                if (json_array_append_new(things, thing) < 0) {
                        (void) error_setf(e, -ENOMEM, "Out of memory");
                        return EXIT_FAILURE;
                }
        }
        if (print_json(things, c->options->json) < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
