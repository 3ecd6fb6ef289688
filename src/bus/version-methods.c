/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of a container about its versions. */

#include "basic/json.h"
#include "bus/container.h"
#include "bus/error.h"
#include "bus/late.h"
#include "bus/options.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/version.h"

static void request_done(VersionRequest *r) {
        json_decref(r->labels);
}

#define START_ROWS                                                                                 \
        {"Start", "b", option_bool_inverted, offsetof(VersionRequest, no_start)}, {                \
                "StopTimeoutUSec", "t", option_uint64, offsetof(VersionRequest, stop_timeout)      \
        }

static void on_created(int r, const Error *e, uint32_t version, const char *snapshot,
                       void *userdata) {
        Late *late = userdata;

        if (r != 0 || !late_message(late)) {
                late_complete(NULL, r, e, late);
                return;
        }
        late_tell_changes(late);
        late_answered(late,
                      sd_bus_reply_method_return(late_message(late), "us", version, snapshot));
}

int method_create_version(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        START_ROWS,
                        {"Labels", "a{ss}", option_labels, offsetof(VersionRequest, labels)},
                        {},
        };
        Container *c = userdata;
        _cleanup_(request_done) VersionRequest request = {.stop_timeout = c->stop_timeout};
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        r = options_read(m, table, &request, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = late_new(service_of(&c->object), m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = version_create(c, &request, on_created, late, &e);
        return late_started(late, r, &e, error);
}

static void on_gone_back(int r, const Error *e, uint32_t version, const char *snapshot,
                         void *userdata) {
        late_complete(NULL, r, e, userdata);
}

int method_rollback(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {START_ROWS, {}};
        Container *c = userdata;
        VersionRequest request = {.stop_timeout = c->stop_timeout};
        _cleanup_error_ Error e = ERROR_NULL;
        uint32_t version;
        Late *late;
        int r;

        r = sd_bus_message_read_basic(m, 'u', &version);
        if (r >= 0)
                r = options_read(m, table, &request, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = late_new(service_of(&c->object), m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = version_rollback(c, version, &request, on_gone_back, late, &e);
        return late_started(late, r, &e, error);
}

int method_delete_version(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        uint32_t version;
        int r;

        r = sd_bus_message_read_basic(m, 'u', &version);
        if (r >= 0)
                r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = version_delete(c, version, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

static int list_one(const Snapshot *s, void *userdata) {
        sd_bus_message *reply = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'r', "ussta{ss}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "usst", s->version, s->key, strempty(s->parent),
                                          s->updated_at);
        if (r >= 0)
                r = labels_append(reply, s->labels);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : 0;
}

int method_list_versions(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ussta{ss})");
        if (r < 0)
                return r;
        r = db_versions_foreach(c->object.manager->db, c->object.namespace, c->object.name,
                                list_one, reply, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
