/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager that look at snapshots. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/listing.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "bus/snapshot.h"
#include "manager/db.h"
#include "manager/manager.h"

/* Appends a{sv}. */
static int append_snapshot(sd_bus_message *m, const Snapshot *s) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "Namespace", "s",
                                          s->namespace, "Name", "s", s->key, "Parent", "s",
                                          strempty(s->parent), "Kind", "s",
                                          snapshot_kind_to_string(s->kind), "Snapshotter", "s",
                                          s->snapshotter, "CreatedAt", "t", s->created_at,
                                          "UpdatedAt", "t", s->updated_at);
        if (r >= 0)
                r = labels_append_entry(m, s->labels);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Reads the name and the options, authorizes and looks the snapshot up: 1 and the snapshot, 0 if
 * the method runs again. */
static int find_snapshot(sd_bus_message *m, Service *s, Snapshot **ret, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *key;
        int r;

        r = snapshot_prepare_method(m, s, &options, &key, error);
        if (r <= 0)
                return r;
        r = snapshot_stat(s->manager, &options.place, key, ret, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 1;
}

int method_stat_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        int r;

        r = find_snapshot(m, userdata, &snapshot, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_snapshot(reply, snapshot);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static void on_usage(int r, const Error *e, uint64_t bytes, uint64_t inodes, void *userdata) {
        Late *late = userdata;

        if (r != 0 || !late_message(late)) {
                late_complete(NULL, r, e, late);
                return;
        }
        late_answered(late, sd_bus_reply_method_return(late_message(late), "tt", bytes, inodes));
}

int snapshot_reply_usage(sd_bus_message *m, Service *s, const Snapshot *snapshot,
                         sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        /* a committed one does not change, and was counted */
        if (snapshot->kind == SNAPSHOT_COMMITTED && snapshot->inodes > 0)
                return sd_bus_reply_method_return(m, "tt", snapshot->bytes, snapshot->inodes);
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = snapshot_usage(s->manager, snapshot, on_usage, late, &e);
        return late_started(late, r, &e, error);
}

int method_snapshot_usage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        int r;

        r = find_snapshot(m, userdata, &snapshot, error);
        return r <= 0 ? (r < 0 ? r : 1) : snapshot_reply_usage(m, userdata, snapshot, error);
}

typedef struct ListOptions {
        SnapshotPlace place;
        bool all_namespaces;
        Filter *filters;
} ListOptions;

static void list_options_done(ListOptions *o) {
        filter_free(o->filters);
}

static int list_one(const Snapshot *s, void *userdata) {
        const Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, snapshot_lookup, s))
                return 0;
        r = listing_entry_open(l, s->key);
        if (r >= 0)
                r = append_snapshot(l->reply, s);
        return r < 0 ? r : MIN_OF(listing_entry_close(l), 0);
}

static int fill(Listing *l, Error *e) {
        return db_snapshots_foreach(l->manager->db, l->snapshotter, l->namespace, list_one, l, e);
}

int method_list_snapshots(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace,
                         offsetof(ListOptions, place.namespace)},
                        {"AllNamespaces", "b", option_bool, offsetof(ListOptions, all_namespaces)},
                        {"Snapshotter", "s", option_string,
                         offsetof(ListOptions, place.snapshotter)},
                        {"Filters", "as", option_filters, offsetof(ListOptions, filters)},
                        {},
        };
        _cleanup_(list_options_done) ListOptions options = {.place.namespace = NAMESPACE_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *namespace;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        namespace = options.all_namespaces ? NULL : options.place.namespace;
        r = authorize(s, m, &(AuthorityDetails){.namespace = namespace}, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        if (options.place.snapshotter && !snapshotter_find(options.place.snapshotter)) {
                r = error_setf(&e, CTR_INVALID_ARGUMENT, "There is no snapshotter \"%.64s\"",
                               options.place.snapshotter);
                return bus_error_set(error, r, &e);
        }
        return listing_reply(m,
                             &(Listing){
                                             .manager = s->manager,
                                             .namespace = namespace,
                                             .snapshotter = options.place.snapshotter,
                                             .filters = options.filters,
                             },
                             fill, error);
}

int method_list_snapshotters(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Snapshotter *snapshotter;
        Service *s = userdata;
        int r;

        r = prepare_nothing(m, s, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sbs)");
        for (size_t i = 0; r >= 0 && (snapshotter = snapshotter_get(i)); i++) {
                const char *reason = snapshotter_reason(s->manager, snapshotter->name);

                r = sd_bus_message_append(reply, "(sbs)", snapshotter->name, (int) !reason,
                                          strempty(reason));
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
