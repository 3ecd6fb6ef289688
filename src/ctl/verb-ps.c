/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ps: containers joined with their tasks. A container is metadata and a task is what runs, so two
 * listings are asked for at once and joined by namespace and id. The members of a joined row are
 * the properties of the container, and those of the task if there is one. With --execs it is the
 * execs that are listed: they are found among all objects.
 */

#include "basic/clock.h"
#include "basic/strv.h"
#include "ctl/bus-json.h"
#include "ctl/container-keys.h"
#include "ctl/listing.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

static const char *member(const json_t *row, const char *key) {
        return strempty(json_string_value(json_object_get(row, key)));
}

static uint64_t member_time(const json_t *row, const char *key) {
        return (uint64_t) json_integer_value(json_object_get(row, key));
}

/* "Up 5 minutes", "Exited (3) 2 days ago", as podman's users know it. */
static char *cell_status(const json_t *row, const char *key) {
        const char *status = member(row, key);
        char span[TEXT_AGO_MAX], code[16] = "unknown", *s = NULL;
        uint64_t now = now_realtime(), since;

        if (streq(status, "RUNNING")) {
                since = member_time(row, "StartedAt");
                return asprintf(&s, "Up %s", text_span(now > since ? now - since : 0, span)) < 0
                                       ? NULL
                                       : s;
        }
        if (streq(status, "STOPPED")) {
                since = member_time(row, "ExitedAt");
                if (json_is_true(json_object_get(row, "ExitStatusKnown")))
                        (void) snprintf(code, sizeof(code), "%u",
                                        (unsigned) member_time(row, "ExitStatus"));
                return asprintf(&s, "Exited (%s) %s ago", code,
                                text_span(now > since ? now - since : 0, span)) < 0
                                       ? NULL
                                       : s;
        }
        if (isempty(status))
                return strdup("Created");
        s = text_escape(status);
        for (char *p = s; p && *p && *++p;)
                *p = (char) (*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        return s;
}

static char *cell_pid(const json_t *row, const char *key) {
        uint64_t pid = member_time(row, key);
        char buf[24];

        (void) snprintf(buf, sizeof(buf), "%llu", (unsigned long long) pid);
        return strdup(pid > 0 ? buf : "-");
}

static const Column columns[] = {
                {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                {"CONTAINER", "Id", NULL, COLUMN_SHORTEN},
                {"IMAGE", "Image", NULL, COLUMN_SHORTEN},
                {"STATUS", "Status", cell_status, COLUMN_SHORTEN},
                {"PID", "Pid", cell_pid, COLUMN_RIGHT},
                {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
};

static int compare_identity(const void *a, const void *b) {
        const json_t *x = *(json_t *const *) a, *y = *(json_t *const *) b;
        int r = strcmp(member(x, "Id"), member(y, "Id"));

        return r != 0 ? r : strcmp(member(x, "Namespace"), member(y, "Namespace"));
}

/* Adds to each container's row what its task has and the container has not. */
static int join(json_t *containers, json_t *tasks) {
        size_t n = json_array_size(tasks), i;
        _cleanup_free_ json_t **sorted = NULL;
        json_t *row;

        sorted = calloc(n + 1, sizeof(json_t *));
        if (!sorted)
                return -ENOMEM;
        json_array_foreach(tasks, i, row)
                sorted[i] = row;
        qsort(sorted, n, sizeof(json_t *), compare_identity);

        json_array_foreach(containers, i, row) {
                json_t **task = bsearch(&row, sorted, n, sizeof(json_t *), compare_identity);

                if (task && json_object_update_missing(row, *task) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* "label=KEY[=VALUE]" and "status=STATUS" are understood here, as podman has them; the rest is the
 * service's. Returns what is behind the name. */
static const char *own_filter(const char *filter, const char *name) {
        const char *value = startswith(filter, name);

        return value && *value != '=' ? value : NULL;
}

static bool is_selected(const json_t *row, const Options *o) {
        const char *status = member(row, "Status");
        bool filtered = false;

        STRV_FOREACH(filter, o->filters) {
                const char *wanted = own_filter(*filter, "status=");

                if (!wanted)
                        continue;
                filtered = true;
                if (strcasecmp(wanted, isempty(status) ? "created" : status) == 0 ||
                    (streq(status, "STOPPED") && strcasecmp(wanted, "exited") == 0))
                        return true;
        }
        if (filtered)
                return false;
        return o->all || streq(status, "RUNNING") || streq(status, "PAUSED") ||
               streq(status, "PAUSING");
}

static int select_rows(json_t *containers, const Options *o, json_t **ret) {
        _cleanup_json_ json_t *rows = NULL;
        json_t *row;
        size_t i;

        rows = json_array();
        if (!rows)
                return -ENOMEM;
        json_array_foreach(containers, i, row)
                if (is_selected(row, o) && json_array_append(rows, row) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(rows);
        return 0;
}

static int append_list_options(sd_bus_message *m, const Client *c) {
        int r = message_append_namespace(m, c);

        if (r >= 0 && c->options->all_namespaces)
                r = sd_bus_message_append(m, "{sv}", "AllNamespaces", "b", true);
        return r;
}

static int append_label_filter(sd_bus_message *m, const Options *o) {
        bool open = false;
        int r = 0;

        STRV_FOREACH(filter, o->filters) {
                const char *label = own_filter(*filter, "label=");
                _cleanup_free_ char *key = NULL;

                if (!label)
                        continue;
                if (!open)
                        r = message_open_array(m, "Labels", "{ss}");
                open = true;
                key = strndup(label, strcspn(label, "="));
                if (!key)
                        return -ENOMEM;
                if (r >= 0)
                        r = sd_bus_message_append(m, "{ss}", key,
                                                  strchr(label, '=') ? strchr(label, '=') + 1 : "");
                if (r < 0)
                        return r;
        }
        return open ? message_close_array(m) : 0;
}

static int append_other_filters(sd_bus_message *m, const Options *o) {
        bool open = false;
        int r = 0;

        STRV_FOREACH(filter, o->filters) {
                if (own_filter(*filter, "label=") || own_filter(*filter, "status="))
                        continue;
                if (!open)
                        r = message_open_array(m, "Filters", "s");
                open = true;
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", *filter);
                if (r < 0)
                        return r;
        }
        return open ? message_close_array(m) : 0;
}

static int append_list_containers(sd_bus_message *m, void *userdata) {
        const Client *c = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_list_options(m, c);
        if (r >= 0)
                r = append_label_filter(m, c->options);
        if (r >= 0)
                r = append_other_filters(m, c->options);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_list_tasks(sd_bus_message *m, void *userdata) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_list_options(m, userdata);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

typedef struct Listing {
        unsigned *missing;
        bool *done;
        json_t *rows;
        Error *error;
} Listing;

static void on_listed(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Listing *l = userdata;

        if (reply)
                (void) listing_from_reply(reply, "Id", &l->rows, l->error);
        else
                (void) error_move(l->error, e);
        if (--*l->missing == 0)
                *l->done = true;
}

/* Both listings, asked for at once. */
static int list_both(Client *c, json_t **ret_containers, json_t **ret_tasks, Error *e) {
        unsigned missing = 2;
        bool done = false;
        Listing containers = {&missing, &done, NULL, e}, tasks = {&missing, &done, NULL, e};
        const Call list_containers = {.interface = INTERFACE_MANAGER,
                                      .member = "ListContainers",
                                      .append = append_list_containers,
                                      .userdata = c};
        const Call list_tasks = {.interface = INTERFACE_MANAGER,
                                 .member = "ListTasks",
                                 .append = append_list_tasks,
                                 .userdata = c};
        Request *first;
        int r;

        r = client_request(c, &list_containers, on_listed, &containers, &first, e);
        if (r != 0)
                return r;
        r = client_request(c, &list_tasks, on_listed, &tasks, NULL, e);
        if (r != 0) {
                request_free(first);
                return r;
        }
        r = client_loop(c, &done, e);
        *ret_containers = containers.rows;
        *ret_tasks = tasks.rows;
        return r != 0 ? r : e->code;
}

static const Column exec_columns[] = {
                {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                {"CONTAINER", "Id", NULL, COLUMN_SHORTEN},
                {"EXEC", "ExecId", NULL, COLUMN_SHORTEN},
                {"STATUS", "Status", cell_status, COLUMN_SHORTEN},
                {"PID", "Pid", cell_pid, COLUMN_RIGHT},
                {"STARTED", "StartedAt", cell_ago, COLUMN_SHORTEN},
};

/* Adds the object as a row if it is an exec that was asked for. */
static int add_exec(const Client *c, const char *path, json_t *interfaces, json_t *rows) {
        json_t *row = json_object_get(interfaces, INTERFACE_PROCESS);
        _cleanup_free_ char *namespace = NULL, *id = NULL, *exec_id = NULL;
        int r;

        r = sd_bus_path_decode_many(path, PATH_MANAGER "/task/%/%/exec/%", &namespace, &id,
                                    &exec_id);
        if (r <= 0 || !row)
                return r < 0 ? r : 0;
        if ((!c->options->all_namespaces && !streq(namespace, client_namespace(c))) ||
            (!c->options->all && streq(member(row, "Status"), "STOPPED")))
                return 0;
        if (json_object_set_new(row, "Namespace", json_string(namespace)) < 0 ||
            json_object_set_new(row, "Id", json_string(id)) < 0 ||
            json_object_set_new(row, "ObjectPath", json_string(path)) < 0 ||
            json_array_append(rows, row) < 0)
                return -ENOMEM;
        return 0;
}

static int list_execs(Client *c, json_t **ret, Error *e) {
        const Call call = {.interface = "org.freedesktop.DBus.ObjectManager",
                           .member = "GetManagedObjects"};
        _cleanup_json_ json_t *objects = NULL, *rows = json_array();
        sd_bus_message *reply = NULL;
        json_t *interfaces;
        const char *path;
        int r;

        if (!rows)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, &objects);
        sd_bus_message_unref(reply);
        if (r >= 0)
                json_object_foreach(objects, path, interfaces) {
                        r = add_exec(c, path, interfaces, rows);
                        if (r < 0)
                                break;
                }
        if (r < 0)
                return error_setf(e, r, "Failed to read the objects: %m");
        *ret = TAKE_PTR(rows);
        return 0;
}

static int show_execs(Client *c, Error *e) {
        _cleanup_json_ json_t *rows = NULL;
        size_t skip = c->options->all_namespaces ? 0 : 1;

        if (c->options->filters) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "execs cannot be filtered");
                return EXIT_FAILURE;
        }
        if (list_execs(c, &rows, e) != 0)
                return EXIT_FAILURE;
        return listing_show(c, exec_columns + skip, ELEMENTSOF(exec_columns) - skip, rows, "ExecId",
                            e);
}

int verb_ps(Client *c, char **args, Error *e) {
        _cleanup_json_ json_t *containers = NULL, *tasks = NULL, *rows = NULL;
        size_t skip = c->options->all_namespaces ? 0 : 1;
        int r;

        r = client_connect(c, e);
        if (r == 0 && c->options->execs)
                return show_execs(c, e);
        if (r == 0)
                r = list_both(c, &containers, &tasks, e);
        if (r != 0)
                return EXIT_FAILURE;
        r = join(containers, tasks);
        if (r >= 0)
                r = select_rows(containers, c->options, &rows);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to make the list: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns + skip, ELEMENTSOF(columns) - skip, rows, "Id", e);
}
