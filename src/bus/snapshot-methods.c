/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about snapshots; those that only look are in snapshot-lists.c. */

#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/service.h"
#include "bus/snapshot.h"

void snapshot_options_done(SnapshotOptions *o) {
        json_decref(o->labels);
}

#define PLACE_ROWS                                                                                 \
        {"Namespace", "s", option_namespace, offsetof(SnapshotOptions, place.namespace)}, {        \
                "Snapshotter", "s", option_string, offsetof(SnapshotOptions, place.snapshotter)    \
        }

const Option snapshot_place_options[] = {PLACE_ROWS, {}};

static const Option making_options[] = {
                PLACE_ROWS,
                {"Labels", "a{ss}", option_labels, offsetof(SnapshotOptions, labels)},
                {"Lease", "s", option_string, offsetof(SnapshotOptions, lease)},
                {},
};

int snapshot_read_key(sd_bus_message *m, const char *what, const char **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sd_bus_message_read_basic(m, 's', ret);
        if (r < 0)
                return r;
        r = snapshot_key_validate(*ret, what, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}

int snapshot_authorize(Service *s, sd_bus_message *m, const SnapshotOptions *o,
                       sd_bus_error *error) {
        return authorize(s, m, &(AuthorityDetails){.namespace = o->place.namespace}, error);
}

int snapshot_prepare_method(sd_bus_message *m, Service *s, SnapshotOptions *options,
                            const char **ret_key, sd_bus_error *error) {
        int r;

        r = snapshot_read_key(m, "name of the snapshot", ret_key, error);
        if (r >= 0)
                r = options_read(m, snapshot_place_options, options, error);
        return r < 0 ? r : snapshot_authorize(s, m, options, error);
}

int snapshot_reply_mounts(sd_bus_message *m, Service *s, const SnapshotPlace *place,
                          const char *key, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        SnapshotMount *mounts;
        size_t n;
        int r;

        r = snapshot_mounts(s->manager, place, key, &mounts, &n, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssas)");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = sd_bus_message_open_container(reply, 'r', "ssas");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "ss", mounts[i].type, mounts[i].source);
                if (r >= 0)
                        r = sd_bus_message_append_strv(reply, mounts[i].options);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        snapshot_mounts_free(mounts, n);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* Where the mounts of a new snapshot are to be asked for, when it has been made. */
typedef struct Prepared {
        Service *service;
        char *namespace, *snapshotter, *key;
} Prepared;

static void prepared_free(void *userdata) {
        Prepared *p = userdata;

        free(p->namespace);
        free(p->snapshotter);
        free(p->key);
        free(p);
}

static void on_prepared(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Late *late = userdata;
        const Prepared *p = late_payload(late);
        sd_bus_message *m = late_message(late);

        if (r != 0 || !m) {
                late_complete(NULL, r, e, late);
                return;
        }
        r = snapshot_reply_mounts(m, p->service, &(SnapshotPlace){p->namespace, p->snapshotter},
                                  p->key, &error);
        if (r < 0)
                (void) sd_bus_reply_method_errno(m, r, &error);
        late_free(late);
}

static int prepare_late(Service *s, sd_bus_message *m, const SnapshotRequest *request,
                        sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Prepared *p;
        bool done;
        Late *late;
        int r;

        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(Prepared));
        if (!p) {
                late_free(late);
                return -ENOMEM;
        }
        late_set_payload(late, p, prepared_free);
        p->service = s;
        if (free_and_strdup(&p->namespace, request->place.namespace) < 0 ||
            free_and_strdup(&p->snapshotter, request->place.snapshotter) < 0 ||
            free_and_strdup(&p->key, request->key) < 0) {
                late_free(late);
                return -ENOMEM;
        }
        r = snapshot_prepare(s->manager, request, &done, on_prepared, late, &e);
        if (r == 0 && done)
                on_prepared(NULL, 0, NULL, late);
        return late_started(late, r, &e, error);
}

static int prepare(sd_bus_message *m, Service *s, bool view, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        const char *key, *parent;
        int r;

        r = snapshot_read_key(m, "name of the snapshot", &key, error);
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 's', &parent);
        if (r >= 0)
                r = options_read(m, making_options, &options, error);
        if (r < 0)
                return r;
        r = snapshot_authorize(s, m, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        return prepare_late(s, m,
                            &(SnapshotRequest){
                                            .place = options.place,
                                            .key = key,
                                            .parent = parent,
                                            .view = view,
                                            .labels = options.labels,
                                            .lease = options.lease,
                            },
                            error);
}

int method_prepare_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return prepare(m, userdata, false, error);
}

int method_view_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return prepare(m, userdata, true, error);
}

int method_commit_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *name, *key;
        Service *s = userdata;
        Late *late;
        int r;

        r = snapshot_read_key(m, "name to commit the snapshot as", &name, error);
        if (r >= 0)
                r = snapshot_read_key(m, "name of the snapshot", &key, error);
        if (r >= 0)
                r = options_read(m, making_options, &options, error);
        if (r < 0)
                return r;
        r = snapshot_authorize(s, m, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = snapshot_commit(s->manager,
                            &(SnapshotCommitRequest){
                                            .place = options.place,
                                            .name = name,
                                            .key = key,
                                            .labels = options.labels,
                                            .lease = options.lease,
                            },
                            late_complete, late, &e);
        return late_started(late, r, &e, error);
}

int method_remove_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *key;
        int r;

        r = snapshot_prepare_method(m, s, &options, &key, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = snapshot_remove(s->manager, &options.place, key, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_set_snapshot_labels(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        _cleanup_json_ json_t *labels = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *key;
        int r;

        r = snapshot_read_key(m, "name of the snapshot", &key, error);
        if (r >= 0)
                r = labels_read(m, &labels, error);
        if (r >= 0)
                r = options_read(m, snapshot_place_options, &options, error);
        if (r < 0)
                return r;
        r = snapshot_authorize(s, m, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = snapshot_set_labels(s->manager, &options.place, key, labels, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_snapshot_mounts(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_options_done) SnapshotOptions options = SNAPSHOT_OPTIONS_DEFAULT;
        Service *s = userdata;
        const char *key;
        int r;

        r = snapshot_prepare_method(m, s, &options, &key, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        return snapshot_reply_mounts(m, s, &options.place, key, error);
}
