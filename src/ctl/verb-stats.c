/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * stats: what containers use, from two looks at their figures. A row is what Metrics answers for a
 * task, with its name and what is worked out: the use of CPUs between the two looks, and sums over
 * devices and interfaces.
 */

#include "basic/identifier.h"
#include "basic/strv.h"
#include "ctl/bus-json.h"
#include "ctl/container-keys.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define INTERVAL_USEC (1 * USEC_PER_SEC)
#define CLEAR_SCREEN  "\033[H\033[J"

typedef struct Stats {
        Client *client;
        char **ids;
        char **filters; /* one for each id, or NULL */
        json_t *before; /* the rows of the look before */
        sd_event_source *timer;
        bool done;
        Error error;
} Stats;

static void stats_clear(Stats *s) {
        sd_event_source_disable_unref(s->timer);
        strv_free(s->filters);
        json_decref(s->before);
        error_clear(&s->error);
}

static void stats_fail(Stats *s, int r, const char *text) {
        if (r != -EPIPE) /* nobody reads on */
                (void) error_setf(&s->error, r, "%s: %m", text);
        s->done = true;
}

/* --- cells --- */

static uint64_t number(const json_t *row, const char *key) {
        return (uint64_t) json_integer_value(json_object_get(row, key));
}

/* "1.5M / 64.0M"; without a limit, or where it is not known, only the first. */
static char *cell_of_limit(const json_t *row, const char *key) {
        static const char *const limits[][2] = {{"MemoryWithoutCache", "MemoryMax"},
                                                {"TasksCurrent", "TasksMax"}};
        bool bytes = streq(key, limits[0][0]);
        json_t *limit = json_object_get(row, limits[bytes ? 0 : 1][1]);
        char used[TEXT_NUMBER_MAX], most[TEXT_NUMBER_MAX], *s;
        int r;

        if (!json_object_get(row, key))
                return strdup("-");
        (void) snprintf(used, sizeof(used), "%llu", (unsigned long long) number(row, key));
        (void) snprintf(most, sizeof(most), "%lli", (long long) json_integer_value(limit));
        if (bytes) {
                (void) text_bytes(number(row, key), used);
                (void) text_bytes((uint64_t) json_integer_value(limit), most);
        }
        r = json_is_integer(limit) ? asprintf(&s, "%s / %s", used, most) : asprintf(&s, "%s", used);
        return r < 0 ? NULL : s;
}

/* "1.0K / 2.0K": what came in and what went out. */
static char *cell_in_out(const json_t *row, const char *key) {
        char in[TEXT_NUMBER_MAX], out[TEXT_NUMBER_MAX], *s;
        const json_t *sums = json_object_get(row, key);

        if (!sums)
                return strdup("-");
        return asprintf(&s, "%s / %s", text_bytes(number(sums, "In"), in),
                        text_bytes(number(sums, "Out"), out)) < 0
                               ? NULL
                               : s;
}

static const Column columns[] = {
                {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                {"CONTAINER", "Id", NULL, COLUMN_SHORTEN},
                {"CPU", "CPUPercent", cell_percent, COLUMN_RIGHT},
                {"MEMORY / LIMIT", "MemoryWithoutCache", cell_of_limit, COLUMN_RIGHT},
                {"MEMORY %", "MemoryPercent", cell_percent, COLUMN_RIGHT},
                {"NET IN / OUT", "NetworkSum", cell_in_out, COLUMN_RIGHT},
                {"DISK READ / WRITTEN", "IOSum", cell_in_out, COLUMN_RIGHT},
                {"TASKS", "TasksCurrent", cell_of_limit, COLUMN_RIGHT},
};

/* --- rows --- */

/* Sums over (name, {counter: value}). */
static int add_sums(json_t *row, const char *key, const char *sum_key, const char *in,
                    const char *out) {
        json_t *groups = json_object_get(row, key), *group;
        json_int_t sums[2] = {};
        size_t i;

        if (!groups)
                return 0;
        json_array_foreach(groups, i, group) {
                const json_t *counters = json_array_get(group, 1);

                if (streq(strempty(json_string_value(json_array_get(group, 0))), "lo"))
                        continue;
                sums[0] += json_integer_value(json_object_get(counters, in));
                sums[1] += json_integer_value(json_object_get(counters, out));
        }
        return json_object_set_new(row, sum_key,
                                   json_pack("{s:I, s:I}", "In", sums[0], "Out", sums[1]));
}

static json_t *find_row(json_t *rows, const char *path) {
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row)
                if (streq(path, json_string_value(json_object_get(row, "ObjectPath"))))
                        return row;
        return NULL;
}

static int add_percents(json_t *row, json_t *before) {
        uint64_t limit = number(row, "MemoryMax"), used, elapsed;
        const json_t *old;

        if (limit > 0 &&
            json_object_set_new(row, "MemoryPercent",
                                json_real(100.0 * (double) number(row, "MemoryWithoutCache") /
                                          (double) limit)) < 0)
                return -ENOMEM;
        old = find_row(before, json_string_value(json_object_get(row, "ObjectPath")));
        if (!old || !json_object_get(row, "CPUUsageUSec"))
                return 0;
        used = number(row, "CPUUsageUSec") - number(old, "CPUUsageUSec");
        elapsed = number(row, "Timestamp") - number(old, "Timestamp");
        /* a new task of the same name counts from 0 again */
        if ((int64_t) used < 0 || (int64_t) elapsed <= 0)
                return 0;
        return json_object_set_new(row, "CPUPercent",
                                   json_real(100.0 * (double) used / (double) elapsed));
}

static int complete(json_t *row, json_t *before) {
        const char *path = strempty(json_string_value(json_object_get(row, "ObjectPath")));
        _cleanup_free_ char *namespace = NULL, *id = NULL;
        int r;

        r = sd_bus_path_decode_many(path, PATH_MANAGER "/task/%/%", &namespace, &id);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (json_object_set_new(row, "Namespace", json_string(namespace)) < 0 ||
            json_object_set_new(row, "Id", json_string(id)) < 0 ||
            add_sums(row, "Network", "NetworkSum", "rx_bytes", "tx_bytes") < 0 ||
            add_sums(row, "IO", "IOSum", "rbytes", "wbytes") < 0 || add_percents(row, before) < 0)
                return -ENOMEM;
        return 0;
}

/* --- looks --- */

static int check_ids(const Stats *s, json_t *rows, Error *e) {
        STRV_FOREACH(id, s->ids) {
                _cleanup_free_ char *path = client_object_path(s->client, "task", *id);

                if (!path)
                        return error_setf(e, -ENOMEM, "Out of memory");
                if (!find_row(rows, path))
                        return error_setf(e, CTR_NOT_FOUND, "container \"%s\" is not running", *id);
        }
        return 0;
}

static int show(const Stats *s, json_t *rows) {
        const Options *o = s->client->options;
        size_t skip = o->all_namespaces ? 0 : 1;
        unsigned width = o->full ? 0 : terminal_columns(STDOUT_FILENO);
        int r;

        if (o->json != JSON_MODE_OFF)
                r = print_json(rows, o->json);
        else {
                if (!o->no_stream && isatty(STDOUT_FILENO))
                        fputs(CLEAR_SCREEN, stdout);
                r = table_print(stdout, columns + skip, ELEMENTSOF(columns) - skip, rows,
                                !o->no_legend, width);
        }
        return r < 0 ? r : fflush(stdout) == EOF ? -errno : 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);

static void look_later(Stats *s) {
        const OptionalU64 *interval = &s->client->options->interval;
        int r;

        s->timer = sd_event_source_disable_unref(s->timer);
        r = sd_event_add_time_relative(s->client->event, &s->timer, CLOCK_MONOTONIC,
                                       interval->set ? interval->value : INTERVAL_USEC,
                                       USEC_PER_MSEC, on_time, s);
        if (r < 0)
                stats_fail(s, r, "Failed to set a timer");
}

static int use_rows(Stats *s, json_t *rows) {
        json_t *row;
        size_t i;
        int r;

        json_array_foreach(rows, i, row) {
                r = complete(row, s->before);
                if (r < 0)
                        return r;
        }
        if (s->before) {
                r = show(s, rows);
                if (r < 0)
                        return r;
                s->done = s->client->options->no_stream;
        }
        json_decref(s->before);
        s->before = json_incref(rows);
        if (!s->done)
                look_later(s);
        return 0;
}

static void on_metrics(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_json_ json_t *rows = NULL;
        Stats *s = userdata;
        int r;

        if (!reply) {
                (void) error_move(&s->error, e);
                s->done = true;
                return;
        }
        if (listing_from_reply(reply, "ObjectPath", &rows, &s->error) != 0 ||
            (!s->before && check_ids(s, rows, &s->error) != 0)) {
                s->done = true;
                return;
        }
        r = use_rows(s, rows);
        if (r < 0)
                stats_fail(s, r, "Failed to show the figures");
}

static int append_query(sd_bus_message *m, void *userdata) {
        const Stats *s = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_selection(m, s->client);
        if (r >= 0 && s->filters)
                r = message_append_list(m, "Filters", s->filters);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void look(Stats *s) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "Metrics",
                           .append = append_query,
                           .userdata = s};

        if (client_request(s->client, &call, on_metrics, s, NULL, &s->error) != 0)
                s->done = true;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        look(userdata);
        return 0;
}

static int check_options(const Options *o, char *const *ids, Error *e) {
        if (ids[0] && (o->filters || o->all_namespaces))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "either containers are named, or chosen by options");
        if (o->interval.set && o->interval.value == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--interval: 0 is too often");
        return 0;
}

int verb_stats(Client *c, char **args, Error *e) {
        _cleanup_(stats_clear) Stats s = {.client = c, .ids = args};
        int r;

        r = check_options(c->options, args, e);
        STRV_FOREACH(id, args) {
                if (r == 0)
                        r = identifier_validate(*id, "container id", e);
                if (r == 0 && strv_extendf(&s.filters, "id==%s", *id) < 0)
                        r = error_setf(e, -ENOMEM, "Out of memory");
        }
        if (r == 0)
                r = client_connect(c, e);
        if (r != 0)
                return EXIT_FAILURE;
        look(&s);
        r = client_loop(c, &s.done, e);
        if (r == 0)
                r = error_move(e, &s.error);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
