/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about content: blobs and garbage. Those that list it are in
 * content-lists.c. */

#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/content.h"
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

void content_options_done(ContentOptions *o) {
        filter_free(o->filters);
}

const Option content_scope_options[] = {
                {"Namespace", "s", option_namespace, offsetof(ContentOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ContentOptions, all_namespaces)},
                {},
};

int content_prepare(sd_bus_message *m, Service *s, const Option *table, ContentOptions *options,
                    sd_bus_error *error) {
        return prepare_in_namespaces(m, s, table, options, &options->namespace,
                                     &options->all_namespaces, error);
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

        r = content_prepare(m, s, table, &options, error);
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

        r = content_prepare(m, s, table, &options, error);
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

        r = content_prepare(m, s, content_scope_options, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = usage_read(s->manager, options.namespace, on_usage, late, &e);
        return late_started(late, r, &e, error);
}
