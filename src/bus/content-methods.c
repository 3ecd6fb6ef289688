/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about content: blobs, those that are on their way, and garbage. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/property.h"
#include "bus/service.h"
#include "image/digest.h"
#include "manager/content.h"
#include "manager/job.h"
#include "manager/sweeper.h"
#include "manager/usage.h"

typedef struct ContentOptions {
        const char *namespace;
        bool all_namespaces, quarantine;
        Filter *filters;
} ContentOptions;

static void content_options_done(ContentOptions *o) {
        filter_free(o->filters);
}

static const Option table_filters[] = {
                {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ContentOptions, all_namespaces)},
                {"Filters", "as", option_filters, offsetof(ContentOptions, filters)},
                {},
};

static const Option table_all[] = {
                {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ContentOptions, all_namespaces)},
                {},
};

/* Options and permission; the namespace is NULL for all of them. 1: go on, 0: polkit was asked. */
static int prepare(sd_bus_message *m, Service *s, const Option *table, ContentOptions *options,
                   sd_bus_error *error) {
        int r;

        options->namespace = NAMESPACE_DEFAULT;
        r = options_read(m, table, options, error);
        if (r < 0)
                return r;
        if (options->all_namespaces)
                options->namespace = NULL;
        return authorize(s, m, &(AuthorityDetails){.namespace = options->namespace}, error);
}

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

static int append_labels(sd_bus_message *reply, json_t *labels) {
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{ss}");
        if (r >= 0)
                r = labels_append(reply, labels);
        if (r >= 0)
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
                r = append_labels(l->reply, c->labels);
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

        r = prepare(m, s, table_filters, &options, error);
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

        r = prepare(m, s, table_all, &options, error);
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
        const char *ignored;
        Service *s = userdata;
        int r;

        r = options_read(m, namespace_option, &ignored, error);
        if (r < 0)
                return r;
        r = authorize(s, m, &(AuthorityDetails){}, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m, &(Listing){}, fill_quarantine, &(ListingPlace){s->manager, NULL},
                             error);
}

static int digest_read(sd_bus_message *m, const char **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Digest d;
        int r;

        r = sd_bus_message_read_basic(m, 's', ret);
        if (r < 0)
                return r;
        r = digest_parse(*ret, &d, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}

/* A digest and Namespace, and permission for what a method does with it. */
static int prepare_digest(sd_bus_message *m, Service *s, const char **ret_digest,
                          json_t **ret_labels, const char **ret_namespace, sd_bus_error *error) {
        int r;

        *ret_namespace = NAMESPACE_DEFAULT;
        r = digest_read(m, ret_digest, error);
        if (r >= 0 && ret_labels)
                r = labels_read(m, ret_labels, error);
        if (r >= 0)
                r = options_read(m, namespace_option, ret_namespace, error);
        if (r < 0)
                return r;
        return authorize(s, m,
                         &(AuthorityDetails){.namespace = *ret_namespace, .image = *ret_digest},
                         error);
}

int method_get_content(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *digest, *namespace;
        _cleanup_close_ int fd = -1;
        Service *s = userdata;
        int r;

        r = prepare_digest(m, s, &digest, NULL, &namespace, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = content_open_in(s->manager, namespace, digest, &fd, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "h", fd);
}

int method_delete_content(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *digest, *namespace;
        Service *s = userdata;
        int r;

        r = prepare_digest(m, s, &digest, NULL, &namespace, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = content_delete(s->manager, namespace, digest, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_set_content_labels(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ json_t *labels = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *digest, *namespace;
        Service *s = userdata;
        int r;

        r = prepare_digest(m, s, &digest, &labels, &namespace, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = content_set_labels(s->manager, namespace, digest, labels, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_verify_content(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                        {"Quarantine", "b", option_bool, offsetof(ContentOptions, quarantine)},
                        {},
        };
        _cleanup_(content_options_done) ContentOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        Service *s = userdata;
        Job *job;
        int r;

        r = prepare(m, s, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = content_verify(s->manager, options.quarantine, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = bus_path_of(&job->object, &path);
        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

/* Answers what waits, unless its caller has left. */
static void late_finish(Late *late, int r, const Error *e,
                        int (*reply)(sd_bus_message *m, const void *data), const void *data) {
        if (r == 0 && late_message(late)) {
                r = reply(late_message(late), data);
                if (r >= 0) {
                        late_free(late);
                        return;
                }
                e = NULL;
        }
        if (r == 0)
                late_free(late);
        else
                late_complete(NULL, r, e, late);
}

static int reply_collected(sd_bus_message *m, const void *data) {
        const Collected *c = data;

        return sd_bus_reply_method_return(m, "a{sv}", 7, "Blobs", "u", (uint32_t) c->blobs,
                                          "Snapshots", "u", (uint32_t) c->snapshots, "Ingests", "u",
                                          (uint32_t) c->ingests, "Bytes", "t", c->bytes, "Turns",
                                          "u", (uint32_t) c->n_turns, "LongestTurnUSec", "t",
                                          c->longest_usec, "BusyUSec", "t", c->busy_usec);
}

static void on_collected(Object *o, int r, const Error *e, void *userdata) {
        const Manager *m = late_payload(userdata);

        late_finish(userdata, r, e, reply_collected, sweeper_collected(m->sweeper));
}

int method_collect_garbage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                        {"Quarantine", "b", option_bool, offsetof(ContentOptions, quarantine)},
                        {},
        };
        _cleanup_(content_options_done) ContentOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Late *late = NULL;
        int r;

        r = prepare(m, s, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = options.quarantine ? quarantine_clear(s->manager, &e) : 0;
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        late_set_payload(late, s->manager, NULL);
        r = sweeper_collect(s->manager->sweeper, on_collected, late, &e);
        return late_started(late, r, &e, error);
}

static int reply_usage(sd_bus_message *m, const void *data) {
        const Usage *u = data;

        return sd_bus_reply_method_return(m, "a{sv}", 10, "Images", "u", (uint32_t) u->rows.images,
                                          "Containers", "u", (uint32_t) u->rows.containers,
                                          "Leases", "u", (uint32_t) u->rows.leases, "Blobs", "u",
                                          (uint32_t) u->rows.blobs, "ContentBytes", "t",
                                          u->rows.content_bytes, "Snapshots", "u",
                                          (uint32_t) u->rows.snapshots, "SnapshotBytes", "t",
                                          u->rows.snapshot_bytes, "IngestBytes", "t",
                                          u->ingest_bytes, "QuarantineBytes", "t",
                                          u->quarantine_bytes, "ReclaimableBytes", "t",
                                          u->rows.reclaimable_bytes);
}

static void on_usage(int r, const Error *e, const Usage *usage, void *userdata) {
        late_finish(userdata, r, e, reply_usage, usage);
}

int method_disk_usage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(content_options_done) ContentOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Late *late = NULL;
        int r;

        r = prepare(m, s, table_all, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = usage_read(s->manager, options.namespace, on_usage, late, &e);
        return late_started(late, r, &e, error);
}
