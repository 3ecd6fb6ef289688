/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager that list content: blobs, those that are on their way, and those that
 * were put aside. */

#include "bus/authorize.h"
#include "bus/content.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/content.h"

static const Option table_filters[] = {
                {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ContentOptions, all_namespaces)},
                {"Filters", "as", option_filters, offsetof(ContentOptions, filters)},
                {},
};

typedef struct Listing {
        sd_bus_message *reply;
        const Filter *filters;
} Listing;

/* (sa{sv}): opens the name's part, and closes both. */
static int entry_open(sd_bus_message *reply, const char *name) {
        int r;

        r = sd_bus_message_open_container(reply, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', name);
        return r < 0 ? r : sd_bus_message_open_container(reply, 'a', "{sv}");
}

static int entry_close(sd_bus_message *reply) {
        int r;

        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_content(const Content *c, void *userdata) {
        const Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, content_lookup, c))
                return 0;
        r = entry_open(l->reply, c->digest);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "Namespace", "s",
                                          c->namespace, "Size", "t", c->size, "MediaType", "s",
                                          c->media_type, "CreatedAt", "t", c->created_at,
                                          "DamagedAt", "t", c->damaged_at, "Images", "u",
                                          (uint32_t) c->n_images);
        if (r >= 0)
                r = labels_append_entry(l->reply, c->labels);
        return r < 0 ? r : entry_close(l->reply);
}

/* Opens the reply's array; foreach() fills it. */
static int listing_reply(sd_bus_message *m, Listing *l,
                         int (*fill)(Listing *l, void *userdata, Error *e), void *userdata,
                         sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
        if (r < 0)
                return r;
        l->reply = reply;
        r = fill(l, userdata, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

typedef struct ListingPlace {
        Manager *manager;
        const char *namespace;
} ListingPlace;

static int fill_content(Listing *l, void *userdata, Error *e) {
        const ListingPlace *p = userdata;

        return contents_foreach(p->manager, p->namespace, append_content, l, e);
}

int method_list_content(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(content_options_done) ContentOptions options = {};
        Service *s = userdata;
        int r;

        r = content_prepare(m, s, table_filters, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){.filters = options.filters}, fill_content,
                             &(ListingPlace){s->manager, options.namespace}, error);
}

static int append_ingest(const IngestEntry *i, void *userdata) {
        const Listing *l = userdata;
        int r;

        r = entry_open(l->reply, i->digest);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}{sv}{sv}{sv}", "Namespace", "s",
                                          i->namespace, "Offset", "t", i->offset, "Total", "t",
                                          i->total, "StartedAt", "t", i->started_at, "UpdatedAt",
                                          "t", i->updated_at);
        return r < 0 ? r : entry_close(l->reply);
}

static int fill_ingests(Listing *l, void *userdata, Error *e) {
        const ListingPlace *p = userdata;

        return ingests_foreach(p->manager, p->namespace, append_ingest, l, e);
}

int method_list_ingests(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(content_options_done) ContentOptions options = {};
        Service *s = userdata;
        int r;

        r = content_prepare(m, s, content_scope_options, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){}, fill_ingests,
                             &(ListingPlace){s->manager, options.namespace}, error);
}

static int append_quarantined(const QuarantineEntry *q, void *userdata) {
        const Listing *l = userdata;
        int r;

        r = entry_open(l->reply, q->name);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}", "Size", "t", q->size,
                                          "QuarantinedAt", "t", q->quarantined_at);
        return r < 0 ? r : entry_close(l->reply);
}

static int fill_quarantine(Listing *l, void *userdata, Error *e) {
        const ListingPlace *p = userdata;

        return quarantine_foreach(p->manager, append_quarantined, l, e);
}

int method_list_quarantine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *s = userdata;
        int r;

        r = prepare_nothing(m, s, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){}, fill_quarantine, &(ListingPlace){s->manager, NULL},
                             error);
}
