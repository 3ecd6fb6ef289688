/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about leases. */

#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/lease.h"

typedef struct LeaseOptions {
        const char *namespace;
        bool all_namespaces, synchronous;
        uint64_t expires_at;
        json_t *labels;
} LeaseOptions;

static void lease_options_done(LeaseOptions *o) {
        json_decref(o->labels);
}

/* ids: how many strings come before the options. 1: go on, 0: polkit was asked. */
static int prepare(sd_bus_message *m, Service *s, const char **strings, size_t n,
                   const Option *table, LeaseOptions *options, sd_bus_error *error) {
        int r;

        for (size_t i = 0; i < n; i++) {
                r = sd_bus_message_read_basic(m, 's', &strings[i]);
                if (r < 0)
                        return r;
        }
        return prepare_in_namespaces(m, s, table, options, &options->namespace,
                                     &options->all_namespaces, error);
}

static const Option table_namespace[] = {
                {"Namespace", "s", option_namespace, offsetof(LeaseOptions, namespace)},
                {},
};

int method_create_lease(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(LeaseOptions, namespace)},
                        {"Labels", "a{ss}", option_labels, offsetof(LeaseOptions, labels)},
                        {"Expires", "t", option_uint64, offsetof(LeaseOptions, expires_at)},
                        {},
        };
        _cleanup_(lease_options_done) LeaseOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *name = NULL;
        Service *s = userdata;
        const char *id;
        int r;

        r = prepare(m, s, &id, 1, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = lease_create(s->manager, options.namespace, id, options.labels, options.expires_at,
                         &name, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "s", name);
}

int method_delete_lease(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(LeaseOptions, namespace)},
                        {"Synchronous", "b", option_bool, offsetof(LeaseOptions, synchronous)},
                        {},
        };
        _cleanup_(lease_options_done) LeaseOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Late *late = NULL;
        const char *id;
        int r;

        r = prepare(m, s, &id, 1, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (!options.synchronous) {
                r = lease_delete(s->manager, options.namespace, id, NULL, NULL, &e);
                return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
        }
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = lease_delete(s->manager, options.namespace, id, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

static int append_lease(sd_bus_message *reply, json_t *lease) {
        int r;

        r = sd_bus_message_open_container(reply, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's',
                                                json_string_value(json_object_get(lease, "id")));
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "Namespace", "s",
                                          json_string_value(json_object_get(lease, "namespace")),
                                          "CreatedAt", "t",
                                          (uint64_t) json_integer_value(
                                                          json_object_get(lease, "created_at")),
                                          "Expires", "t",
                                          (uint64_t) json_integer_value(
                                                          json_object_get(lease, "expires_at")));
        if (r >= 0)
                r = labels_append_entry(reply, json_object_get(lease, "labels"));
        for (int i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_resource(sd_bus_message *reply, json_t *resource) {
        return sd_bus_message_append(reply, "(ss)",
                                     json_string_value(json_object_get(resource, "type")),
                                     json_string_value(json_object_get(resource, "key")));
}

static int reply_list(sd_bus_message *m, const char *type, json_t *list,
                      int (*append)(sd_bus_message *reply, json_t *item)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *item;
        size_t i;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', type);
        json_array_foreach(list, i, item)
                if (r >= 0)
                        r = append(reply, item);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int method_list_leases(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(LeaseOptions, namespace)},
                        {"AllNamespaces", "b", option_bool, offsetof(LeaseOptions, all_namespaces)},
                        {},
        };
        _cleanup_(lease_options_done) LeaseOptions options = {};
        _cleanup_json_ json_t *list = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        int r;

        r = prepare(m, s, NULL, 0, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = lease_list(s->manager, options.namespace, &list, &e);
        return r != 0 ? bus_error_set(error, r, &e) : reply_list(m, "(sa{sv})", list, append_lease);
}

int method_list_lease_resources(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(lease_options_done) LeaseOptions options = {};
        _cleanup_json_ json_t *list = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *id;
        int r;

        r = prepare(m, s, &id, 1, table_namespace, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = lease_resources(s->manager, options.namespace, id, &list, &e);
        return r != 0 ? bus_error_set(error, r, &e) : reply_list(m, "(ss)", list, append_resource);
}

static int change_resource(sd_bus_message *m, Service *s,
                           int (*change)(Manager *m, const char *namespace, const char *id,
                                         const char *type, const char *key, Error *e),
                           sd_bus_error *error) {
        _cleanup_(lease_options_done) LeaseOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        const char *strings[3];
        int r;

        r = prepare(m, s, strings, ELEMENTSOF(strings), table_namespace, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = change(s->manager, options.namespace, strings[0], strings[1], strings[2], &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_add_lease_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return change_resource(m, userdata, lease_add, error);
}

int method_remove_lease_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return change_resource(m, userdata, lease_remove, error);
}
