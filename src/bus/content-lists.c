/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager that list content: blobs, those that are on their way, and those that
 * were put aside. */

#include "bus/authorize.h"
#include "bus/content.h"
#include "bus/listing.h"
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

/* Opens the properties, too. */
static int entry_open(const Listing *l, const char *digest) {
        int r;

        r = listing_entry_open(l, digest);
        return r < 0 ? r : sd_bus_message_open_container(l->reply, 'a', "{sv}");
}

static int entry_close(const Listing *l) {
        int r;

        r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : listing_entry_close(l);
}

static int append_content(const Content *c, void *userdata) {
        const Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, content_lookup, c))
                return 0;
        r = entry_open(l, c->digest);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "Namespace", "s",
                                          c->namespace, "Size", "t", c->size, "MediaType", "s",
                                          c->media_type, "CreatedAt", "t", c->created_at,
                                          "DamagedAt", "t", c->damaged_at, "Images", "u",
                                          (uint32_t) c->n_images);
        if (r >= 0)
                r = labels_append_entry(l->reply, c->labels);
        return r < 0 ? r : entry_close(l);
}

static int fill_content(Listing *l, Error *e) {
        return contents_foreach(l->manager, l->namespace, append_content, l, e);
}

int method_list_content(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(content_options_done) ContentOptions options = {};
        Service *s = userdata;
        int r;

        r = content_prepare(m, s, table_filters, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m,
                             &(Listing){
                                             .manager = s->manager,
                                             .namespace = options.namespace,
                                             .filters = options.filters,
                             },
                             fill_content, error);
}

static int append_ingest(const IngestEntry *i, void *userdata) {
        const Listing *l = userdata;
        int r;

        r = entry_open(l, i->digest);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}{sv}{sv}{sv}", "Namespace", "s",
                                          i->namespace, "Offset", "t", i->offset, "Total", "t",
                                          i->total, "StartedAt", "t", i->started_at, "UpdatedAt",
                                          "t", i->updated_at);
        return r < 0 ? r : entry_close(l);
}

static int fill_ingests(Listing *l, Error *e) {
        return ingests_foreach(l->manager, l->namespace, append_ingest, l, e);
}

int method_list_ingests(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(content_options_done) ContentOptions options = {};
        Service *s = userdata;
        int r;

        r = content_prepare(m, s, content_scope_options, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){.manager = s->manager, .namespace = options.namespace},
                             fill_ingests, error);
}

static int append_quarantined(const QuarantineEntry *q, void *userdata) {
        const Listing *l = userdata;
        int r;

        r = entry_open(l, q->name);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}", "Size", "t", q->size,
                                          "QuarantinedAt", "t", q->quarantined_at);
        return r < 0 ? r : entry_close(l);
}

static int fill_quarantine(Listing *l, Error *e) {
        return quarantine_foreach(l->manager, append_quarantined, l, e);
}

int method_list_quarantine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *s = userdata;
        int r;

        r = prepare_nothing(m, s, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){.manager = s->manager}, fill_quarantine, error);
}
