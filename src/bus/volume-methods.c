/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about volumes. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/descriptor.h"
#include "bus/error.h"
#include "bus/listing.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/property.h"
#include "bus/service.h"
#include "bus/snapshot.h"
#include "manager/db.h"
#include "manager/lookup.h"
#include "manager/manager.h"
#include "manager/volume.h"

typedef struct VolumeOptions {
        const char *namespace;
        json_t *labels;
        Filter *filters;
        uint64_t before;
        bool all, all_namespaces;
} VolumeOptions;

static void volume_options_done(VolumeOptions *o) {
        json_decref(o->labels);
        filter_free(o->filters);
}

static const Option namespace_table[] = {
                {"Namespace", "s", option_namespace, offsetof(VolumeOptions, namespace)},
                {},
};

/* A name, options by table, and the caller's right. 1: go on, 0: the method runs again. */
static int prepare(sd_bus_message *m, Service *s, const char **ret_name, int *ret_fd,
                   const Option *table, VolumeOptions *options, sd_bus_error *error) {
        int r = 0;

        if (ret_name)
                r = sd_bus_message_read_basic(m, 's', ret_name);
        if (r >= 0 && ret_fd)
                r = sd_bus_message_read_basic(m, 'h', ret_fd);
        if (r < 0)
                return r;
        return prepare_in_namespaces(m, s, table, options, &options->namespace,
                                     &options->all_namespaces, error);
}

/* The same for one that is there. */
static int find(sd_bus_message *m, Service *s, int *ret_fd, Snapshot **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        VolumeOptions options = {};
        const char *name;
        int r;

        r = prepare(m, s, &name, ret_fd, namespace_table, &options, error);
        if (r <= 0)
                return r;
        r = volume_find(s->manager, options.namespace, name, ret, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 1;
}

int method_create_volume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(VolumeOptions, namespace)},
                        {"Labels", "a{ss}", option_labels, offsetof(VolumeOptions, labels)},
                        {},
        };
        _cleanup_(volume_options_done) VolumeOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *made = NULL;
        Service *s = userdata;
        const char *name;
        int r;

        r = prepare(m, s, &name, NULL, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = volume_create(s->manager, options.namespace, name, options.labels, &made, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, "s", made);
}

int method_remove_volume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        VolumeOptions options = {};
        Service *s = userdata;
        const char *name;
        int r;

        r = prepare(m, s, &name, NULL, namespace_table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = volume_remove(s->manager, options.namespace, name, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

/* Appends a{sv}. */
static int append_volume(sd_bus_message *m, Manager *manager, const Snapshot *s) {
        _cleanup_free_ char *path = volume_path(manager, s->id);
        _cleanup_json_ json_t *users = NULL;
        int r;

        if (!path)
                return -ENOMEM;
        r = db_volume_users(manager->db, s->id, &users, NULL);
        if (r != 0)
                return r < 0 ? r : -EIO;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "Namespace", "s", s->namespace,
                                          "Name", "s", s->volume, "Mountpoint", "s", path,
                                          "Anonymous", "b", (int) s->anonymous, "CreatedAt", "t",
                                          s->created_at);
        if (r >= 0)
                r = labels_append_entry(m, s->labels);
        if (r >= 0)
                r = containers_append_entry(m, users);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int method_stat_volume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(snapshot_freep) Snapshot *volume = NULL;
        Service *s = userdata;
        int r;

        r = find(m, s, NULL, &volume, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_volume(reply, s->manager, volume);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int method_volume_usage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(snapshot_freep) Snapshot *volume = NULL;
        int r;

        r = find(m, userdata, NULL, &volume, error);
        return r <= 0 ? (r < 0 ? r : 1) : snapshot_reply_usage(m, userdata, volume, error);
}

/* A FilterLookup of volumes. */
static bool lookup(const void *volume, const FilterField *field, const char **ret) {
        const Snapshot *s = volume;

        if (streq(field->rests[0], "name"))
                return filter_value(s->volume, ret);
        if (streq(field->rests[0], "namespace"))
                return filter_value(s->namespace, ret);
        if (streq(field->rests[0], "anonymous"))
                return filter_value(s->anonymous ? "true" : "false", ret);
        return label_lookup(s->labels, field, ret);
}

static int list_one(const Snapshot *s, void *userdata) {
        const Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, lookup, s))
                return 0;
        r = listing_entry_open(l, s->volume);
        if (r >= 0)
                r = append_volume(l->reply, l->manager, s);
        return r < 0 ? r : MIN_OF(listing_entry_close(l), 0);
}

static int fill(Listing *l, Error *e) {
        return db_volumes_foreach(l->manager->db, l->namespace, list_one, l, e);
}

int method_list_volumes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(VolumeOptions, namespace)},
                        {"AllNamespaces", "b", option_bool,
                         offsetof(VolumeOptions, all_namespaces)},
                        {"Filters", "as", option_filters, offsetof(VolumeOptions, filters)},
                        {},
        };
        _cleanup_(volume_options_done) VolumeOptions options = {};
        Service *s = userdata;
        int r;

        r = prepare(m, s, NULL, NULL, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return listing_reply(m,
                             &(Listing){
                                             .manager = s->manager,
                                             .namespace = options.namespace,
                                             .filters = options.filters,
                             },
                             fill, error);
}

static bool matches(const Snapshot *s, void *userdata) {
        return filter_matches(((VolumeOptions *) userdata)->filters, lookup, s);
}

int method_prune_volumes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(VolumeOptions, namespace)},
                        {"Filters", "as", option_filters, offsetof(VolumeOptions, filters)},
                        {"Before", "t", option_uint64, offsetof(VolumeOptions, before)},
                        {"All", "b", option_bool, offsetof(VolumeOptions, all)},
                        {},
        };
        _cleanup_(volume_options_done) VolumeOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *names = NULL;
        Service *s = userdata;
        int r;

        r = prepare(m, s, NULL, NULL, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = volumes_prune(s->manager,
                          &(VolumePrune){
                                          .namespace = options.namespace,
                                          .matches = matches,
                                          .userdata = &options,
                                          .before = options.before,
                                          .named = options.all,
                          },
                          &names, &e);
        return r != 0 ? bus_error_set(error, r, &e) : strings_reply(m, names);
}

/* Archives: the answer is the job. */
static int archive(sd_bus_message *m, Service *s, bool write,
                   int (*start)(Manager *m, const Snapshot *s, int fd, Job **ret, Error *e),
                   sd_bus_error *error) {
        _cleanup_(snapshot_freep) Snapshot *volume = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        Job *job;
        int fd, r;

        r = find(m, s, &fd, &volume, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = bus_check_fd(fd, write, error);
        if (r < 0)
                return r;
        r = start(s->manager, volume, fd, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = bus_path_of(&job->object, &path);
        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

int method_export_volume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return archive(m, userdata, true, volume_export, error);
}

int method_import_volume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return archive(m, userdata, false, volume_import, error);
}
