/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * events: the history, and with --follow what comes. Signals are only heard as "there is something
 * new": everything shown comes from the history, by sequence number, so nothing is lost or doubled
 * between what was and what comes, nor while the service is restarted. The signals were asked for
 * before the history is.
 */

#include "basic/clock.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define PAGE 1000U

#define MATCH_EVENT                                                                                \
        "type='signal',sender='" SERVICE "',path='" PATH_MANAGER "',interface='" INTERFACE_MANAGER \
        "',member='Event'"
#define MATCH_OWNER                                                                                \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"                \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SERVICE "'"
#define MATCH_DISCONNECTED                                                                         \
        "type='signal',sender='org.freedesktop.DBus.Local',"                                       \
        "path='/org/freedesktop/DBus/Local',interface='org.freedesktop.DBus.Local',"               \
        "member='Disconnected'"

/* Members of an event, in the order of ListEvents. */
static const char *const members[] = {"Sequence", "Time", "Topic", "Namespace", "Details"};

typedef struct Events {
        Client *client;
        uint64_t last;  /* everything up to this sequence number was shown */
        uint64_t heard; /* the largest one of the signals so far: it is in the history */
        uint64_t asked; /* what was heard when the page was asked for */
        sd_event_source *end;
        bool asking, again; /* a page is on its way; there is something new after it */
        bool ending, done;
        Error error;
} Events;

static void events_clear(Events *v) {
        sd_event_source_disable_unref(v->end);
        error_clear(&v->error);
}

static void events_fail(Events *v, Error *e) {
        (void) error_move(&v->error, e);
        v->done = true;
}

/* --- one event --- */

static int make_object(json_t *array, json_t **ret) {
        _cleanup_json_ json_t *object = json_object();

        if (!object || json_array_size(array) != ELEMENTSOF(members))
                return object ? -EBADMSG : -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (json_object_set(object, members[i], json_array_get(array, i)) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(object);
        return 0;
}

static int print_detail(const char *key, json_t *value) {
        _cleanup_free_ char *text = NULL, *escaped = NULL;

        text = json_is_string(value) ? strdup(json_string_value(value))
                                     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        escaped = text ? text_escape(text) : NULL;
        if (!escaped)
                return -ENOMEM;
        printf(" %s=%s", key, escaped);
        return 0;
}

static int print_text(const json_t *event, bool namespace) {
        json_t *details = json_object_get(event, "Details"), *value;
        json_int_t time = json_integer_value(json_object_get(event, "Time"));
        char when[TEXT_TIME_MAX];
        const char *key;
        int r;

        printf("%s", text_time((uint64_t) time, when));
        if (namespace)
                printf(" %s", strempty(json_string_value(json_object_get(event, "Namespace"))));
        printf(" %s", strempty(json_string_value(json_object_get(event, "Topic"))));
        json_object_foreach(details, key, value) {
                r = print_detail(key, value);
                if (r < 0)
                        return r;
        }
        return fputc('\n', stdout) == EOF ? -errno : 0;
}

static int show(Events *v, json_t *array) {
        const Options *o = v->client->options;
        _cleanup_json_ json_t *event = NULL;
        int r;

        r = make_object(array, &event);
        if (r < 0)
                return r;
        v->last = (uint64_t) json_integer_value(json_object_get(event, "Sequence"));
        if (o->json != JSON_MODE_OFF)
                return print_json(event, o->json);
        return print_text(event, o->all_namespaces);
}

/* --- pages --- */

static int append_query(sd_bus_message *m, void *userdata) {
        const Events *v = userdata;
        const Options *o = v->client->options;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_selection(m, v->client);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "After", "t", v->last, "Limit", "u", PAGE);
        if (r >= 0 && o->since.set)
                r = sd_bus_message_append(m, "{sv}", "Since", "t", o->since.value);
        if (r >= 0 && o->until.set)
                r = sd_bus_message_append(m, "{sv}", "Until", "t", o->until.value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_page(Request *q, sd_bus_message *reply, Error *e, void *userdata);

static void ask(Events *v) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ListEvents",
                           .append = append_query,
                           .userdata = v};
        _cleanup_error_ Error e = ERROR_NULL;

        if (v->asking) {
                v->again = true;
                return;
        }
        v->again = false;
        v->asking = true;
        v->asked = v->heard;
        if (client_request(v->client, &call, on_page, v, NULL, &e) != 0)
                events_fail(v, &e);
}

static int show_page(Events *v, sd_bus_message *reply, size_t *ret_n) {
        _cleanup_json_ json_t *page = NULL;
        json_t *array;
        size_t i;
        int r;

        r = bus_message_read_json(reply, &page);
        if (r < 0)
                return r;
        json_array_foreach(page, i, array) {
                r = show(v, array);
                if (r < 0)
                        return r;
        }
        *ret_n = json_array_size(page);
        return fflush(stdout) == EOF ? -errno : 0;
}

static void on_page(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Events *v = userdata;
        size_t n;
        int r;

        v->asking = false;
        if (!reply) {
                events_fail(v, e);
                return;
        }
        r = show_page(v, reply, &n);
        if (r == -EPIPE)
                v->done = true; /* nobody reads on */
        else if (r < 0) {
                (void) error_setf(&error, r, "Failed to show the events: %m");
                events_fail(v, &error);
        } else if (n > 0 && !(v->asked > 0 && v->last >= v->asked))
                ask(v); /* a page may be shorter than was asked for */
        else {
                v->last = MAX_OF(v->last, v->asked); /* those in between are not of interest */
                if (v->again)
                        ask(v);
                else if (!v->client->options->follow || v->ending)
                        v->done = true;
        }
}

/* --- what comes --- */

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Events *v = userdata;
        uint64_t sequence;

        if (sd_bus_message_read(m, "t", &sequence) >= 0)
                v->heard = MAX_OF(v->heard, sequence);
        ask(v);
        return 0;
}

/* The bus is being restarted, perhaps. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ask(userdata);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *owner;

        /* a service that has gone is not called back for this: nothing happens without it */
        if (sd_bus_message_read(m, "sss", NULL, NULL, &owner) >= 0 && !isempty(owner))
                ask(userdata);
        return 0;
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        Events *v = userdata;

        v->ending = true; /* what came in the last moment is shown */
        ask(v);
        return 0;
}

static int follow(Events *v, Error *e) {
        const OptionalU64 *until = &v->client->options->until;
        int r;

        r = client_subscribe(v->client, MATCH_DISCONNECTED, on_disconnected, v, e);
        if (r == 0)
                r = client_subscribe(v->client, MATCH_OWNER, on_owner_changed, v, e);
        if (r == 0)
                r = client_subscribe(v->client, MATCH_EVENT, on_event, v, e);
        if (r != 0 || !until->set)
                return r;
        r = sd_event_add_time(v->client->event, &v->end, CLOCK_REALTIME, until->value, 0, on_end,
                              v);
        return r < 0 ? error_setf(e, r, "Failed to set a timer: %m") : 0;
}

int verb_events(Client *c, char **args, Error *e) {
        _cleanup_(events_clear)
                        Events v = {.client = c,
                                    .last = c->options->after.set ? c->options->after.value : 0};
        Pager pager = PAGER_NULL;
        int r;

        r = client_connect(c, e);
        if (r == 0 && c->options->follow)
                r = follow(&v, e);
        if (r != 0)
                return EXIT_FAILURE;
        if (!c->options->follow)
                pager_open(&pager, c->options);
        ask(&v);
        r = client_loop(c, &v.done, e);
        (void) pager_close(&pager);
        if (r == 0)
                r = error_move(e, &v.error);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
