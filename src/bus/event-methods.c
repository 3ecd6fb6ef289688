/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Manager.ListEvents: the history of events. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/event.h"
#include "bus/manager-methods.h"

#define LIMIT_DEFAULT 1000U
#define LIMIT_MAX     10000U

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
        sd_bus_message *reply;
        const Filter *filters;
        uint32_t left;
} Listing;

static int append_event(const Event *event, void *userdata) {
        char number[EVENT_NUMBER_SIZE];
        const EventField field = {.event = event, .number = number};
        Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, event_lookup, &field))
                return 0;
        r = sd_bus_message_open_container(l->reply, 'r', "ttssa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "ttss", event->sequence, event->time,
                                          event_topic_to_string(event->topic), event->namespace);
        if (r >= 0)
                r = event_append_details(l->reply, event->details);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : --l->left == 0;
}

static int reply_events(sd_bus_message *m, Manager *manager, const ListEventsOptions *options,
                        sd_bus_error *error) {
        const EventQuery query = {
                        .namespace = options->all_namespaces ? NULL : options->namespace,
                        .after = options->after,
                        .since = options->since,
                        .until = options->until,
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Listing listing = {.filters = options->filters, .left = options->limit};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ttssa{sv})");
        if (r < 0)
                return r;
        listing.reply = reply;
        r = event_foreach(manager, &query, append_event, &listing, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
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
        return reply_events(m, s->manager, &options, error);
}
