/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.example.Ctr.Manager.ListEvents: the history of events, up to what it was when it was asked
 * for. It is read in turns, so that a filter over all of it holds up nobody else; what is through
 * in its first turn is answered at once.
 */

#include "basic/clock.h"
#include "basic/filter.h"
#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/event.h"
#include "bus/late.h"
#include "bus/manager-methods.h"

#define LIMIT_DEFAULT  1000U
#define LIMIT_MAX      10000U
#define SIZE_MAX_REPLY (8U * 1024 * 1024)
#define UNFINISHED_MAX 8U /* of a user, each as large as a reply; root may have any number */
#define TURN_USEC      (5 * USEC_PER_MSEC)
#define TURN_EVENTS    64U   /* between two looks at the clock */
#define PIECE          2048U /* so many are looked at by the database before it looks at the clock */

typedef struct ListEventsOptions {
        const char *namespace;
        bool all_namespaces;
        uint64_t after, since, until;
        uint32_t limit;
        Filter *filters;
} ListEventsOptions;

static void list_events_options_done(ListEventsOptions *o) {
        filter_free(o->filters);
}

static int option_limit(OptionReader *o, void *target) {
        uint32_t limit;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', &limit);
        if (r < 0)
                return r;
        if (limit == 0 || limit > LIMIT_MAX)
                return option_invalid(o, "must be from 1 to %u", LIMIT_MAX);
        *(uint32_t *) target = limit;
        return 0;
}

#define FIELD(name) offsetof(ListEventsOptions, name)
static const Option table[] = {
                {"Namespace", "s", option_namespace, FIELD(namespace)},
                {"AllNamespaces", "b", option_bool, FIELD(all_namespaces)},
                {"After", "t", option_uint64, FIELD(after)},
                {"Since", "t", option_uint64, FIELD(since)},
                {"Until", "t", option_uint64, FIELD(until)},
                {"Limit", "u", option_limit, FIELD(limit)},
                {"Filters", "as", option_filters, FIELD(filters)},
                {},
};

typedef struct Listing {
        Manager *manager;
        sd_bus_message *reply;
        ListEventsOptions options; /* after: what was looked at by now */
        char *namespace;           /* what options refers to */
        uint64_t last;             /* of the history when it was asked for */
        size_t size;               /* of the reply, at most; it is over when that is too large */
        size_t n_seen;
        uint64_t turn_ends;
        bool turn_over, over;

        /* after the first turn */
        Late *late;
        sd_event_source *source;
} Listing;

static void listing_free(Listing *l) {
        if (!l)
                return;
        sd_event_source_disable_unref(l->source);
        sd_bus_message_unref(l->reply);
        list_events_options_done(&l->options);
        free(l->namespace);
        free(l);
}
DEFINE_CLEANUP(Listing *, listing_free);

static void listing_destroy(void *payload) {
        listing_free(payload);
}

/* A value is never more than twice as long on the bus as it is in JSON. */
static size_t event_size(const Event *event) {
        return 128 + strlen(event->namespace) + 2 * event->details_size;
}

static int append_event(Listing *l, const Event *event) {
        int r;

        r = sd_bus_message_open_container(l->reply, 'r', "ttssa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "ttss", event->sequence, event->time,
                                          event_topic_to_string(event->topic), event->namespace);
        if (r >= 0)
                r = event_append_details(l->reply, event->details);
        return r < 0 ? r : sd_bus_message_close_container(l->reply);
}

/* 1: the answer is complete. */
static int take_event(Listing *l, const Event *event) {
        char number[EVENT_NUMBER_SIZE];
        const EventField field = {.event = event, .number = number};
        size_t size = event_size(event);
        int r;

        if (event->sequence > l->last)
                return 1;
        if (!filter_matches(l->options.filters, event_lookup, &field))
                return 0;
        /* the first one is told however large it is: who asks for the rest comes to an end */
        if (l->size > 0 && l->size + size > SIZE_MAX_REPLY)
                return 1;
        l->size += size;
        r = append_event(l, event);
        return r < 0 ? r : --l->options.limit == 0;
}

static int look_at_event(const Event *event, void *userdata) {
        Listing *l = userdata;
        int r;

        r = take_event(l, event);
        if (r != 0) {
                l->over = true;
                return r;
        }
        l->options.after = event->sequence;
        l->turn_over = ++l->n_seen % TURN_EVENTS == 0 && now_monotonic() >= l->turn_ends;
        return l->turn_over;
}

/* What a piece of the history has, until the time of this turn is up. */
static int look_at_piece(Listing *l, uint64_t upto, Error *e) {
        const EventQuery query = {
                        .namespace = l->options.all_namespaces ? NULL : l->options.namespace,
                        .after = l->options.after,
                        .upto = upto,
                        .since = l->options.since,
                        .until = l->options.until,
        };
        int r;

        r = event_foreach(l->manager, &query, look_at_event, l, e);
        if (r != 0 || l->turn_over || l->over)
                return r;
        l->options.after = upto;
        l->turn_over = now_monotonic() >= l->turn_ends;
        return 0;
}

/* 0, and whether the answer is complete in l->over. */
static int listing_turn(Listing *l, Error *e) {
        int r = 0;

        l->turn_over = false;
        l->turn_ends = now_monotonic() + TURN_USEC;
        while (r == 0 && !l->over && !l->turn_over) {
                uint64_t upto;

                r = event_nth(l->manager, l->options.after, PIECE, &upto, e);
                if (r == 0 && (upto == 0 || l->options.after >= l->last))
                        l->over = true;
                else if (r == 0)
                        r = look_at_piece(l, upto, e);
        }
        return r;
}

static int listing_reply(Listing *l) {
        int r;

        r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : sd_bus_send(NULL, l->reply, NULL);
}

static int on_turn(sd_event_source *source, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Listing *l = userdata;
        int r;

        if (!late_message(l->late)) {
                late_free(l->late);
                return 0;
        }
        r = listing_turn(l, &e);
        if (r == 0)
                r = MIN_OF(l->over ? listing_reply(l)
                                   : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT),
                           0);
        if (r != 0)
                late_complete(NULL, r, &e, l->late);
        else if (l->over)
                late_free(l->late);
        return 0;
}

/* The rest of it is for later. */
static int listing_go_on(Service *s, sd_bus_message *m, Listing *listing, sd_bus_error *error) {
        _cleanup_(listing_freep) Listing *l = listing;
        Late *late;
        int r;

        r = sd_event_add_defer(s->manager->event, &l->source, on_turn, l);
        /* it is always ready: with the same priority the bus would have to wait for it */
        if (r >= 0)
                r = sd_event_source_set_priority(l->source, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = late_new(s, m, NULL, &l->late, error);
        if (r < 0)
                return r;
        late = l->late;
        late_set_payload(late, TAKE_PTR(l), listing_destroy);
        if (late_count_alike(late) <= UNFINISHED_MAX)
                return 1;
        late_free(late);
        return sd_bus_error_setf(error, BUS_ERROR_PREFIX "ResourceExhausted",
                                 "More than %u listings of one user are being made",
                                 UNFINISHED_MAX);
}

static int listing_new(Manager *manager, sd_bus_message *m, ListEventsOptions *options,
                       Listing **ret, Error *e) {
        _cleanup_(listing_freep) Listing *l = NULL;
        int r;

        l = calloc(1, sizeof(Listing));
        if (!l)
                return -ENOMEM;
        l->manager = manager;
        l->options = *options;
        *options = (ListEventsOptions){};
        l->namespace = strdup(l->options.namespace);
        if (!l->namespace)
                return -ENOMEM;
        l->options.namespace = l->namespace;
        r = event_last(manager, &l->last, e);
        if (r != 0)
                return r;
        r = sd_bus_message_new_method_return(m, &l->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a', "(ttssa{sv})");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

static int list_events(Service *s, sd_bus_message *m, ListEventsOptions *options,
                       sd_bus_error *error) {
        _cleanup_(listing_freep) Listing *l = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = listing_new(s->manager, m, options, &l, &e);
        if (r == 0)
                r = listing_turn(l, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return l->over ? listing_reply(l) : listing_go_on(s, m, TAKE_PTR(l), error);
}

int method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(list_events_options_done) ListEventsOptions options = {
                        .namespace = NAMESPACE_DEFAULT,
                        .until = UINT64_MAX,
                        .limit = LIMIT_DEFAULT,
        };
        Service *s = userdata;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = authorize(s, m,
                      &(AuthorityDetails){
                                      .namespace = options.all_namespaces ? NULL
                                                                          : options.namespace,
                      },
                      error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return list_events(s, m, &options, error);
}
