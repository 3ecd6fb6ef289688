/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about secrets. None of them answers what is in one. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/listing.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/db.h"
#include "manager/lookup.h"
#include "manager/manager.h"
#include "manager/secret.h"

typedef struct SecretOptions {
        const char *namespace;
        json_t *labels;
        Filter *filters;
        bool all_namespaces;
} SecretOptions;

static void secret_options_done(SecretOptions *o) {
        json_decref(o->labels);
        filter_free(o->filters);
}

/* Options by table, and the caller's right. 1: go on, 0: the method runs again. */
static int prepare(sd_bus_message *m, Service *s, const Option *table, SecretOptions *options,
                   sd_bus_error *error) {
        return prepare_in_namespaces(m, s, table, options, &options->namespace,
                                     &options->all_namespaces, error);
}

/* The same after a name, with Namespace alone. */
static int prepare_name(sd_bus_message *m, Service *s, const char **ret_namespace,
                        const char **ret_name, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(SecretOptions, namespace)},
                        {},
        };
        SecretOptions options = {};
        int r;

        r = sd_bus_message_read_basic(m, 's', ret_name);
        if (r >= 0)
                r = prepare(m, s, table, &options, error);
        *ret_namespace = options.namespace;
        return r;
}

int method_create_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(SecretOptions, namespace)},
                        {"Labels", "a{ss}", option_labels, offsetof(SecretOptions, labels)},
                        {},
        };
        _cleanup_(secret_options_done) SecretOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *name;
        int fd, r;

        r = sd_bus_message_read(m, "sh", &name, &fd);
        if (r >= 0)
                r = prepare(m, s, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = secret_create(s->manager, options.namespace, name, options.labels, fd, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

int method_remove_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace, *name;
        Service *s = userdata;
        int r;

        r = prepare_name(m, s, &namespace, &name, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = secret_remove(s->manager, namespace, name, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

/* Appends a{sv}. */
static int append_secret(sd_bus_message *m, Manager *manager, const Secret *s) {
        _cleanup_json_ json_t *users = NULL;
        int r;

        r = db_secret_users(manager->db, s->id, &users, NULL);
        if (r != 0)
                return r < 0 ? r : -EIO;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "Namespace", "s", s->namespace, "Name",
                                          "s", s->name, "CreatedAt", "t", s->created_at);
        if (r >= 0)
                r = labels_append_entry(m, s->labels);
        if (r >= 0)
                r = containers_append_entry(m, users);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int method_stat_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(secret_freep) Secret *secret = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace, *name;
        Service *s = userdata;
        int r;

        r = prepare_name(m, s, &namespace, &name, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = secret_find(s->manager, namespace, name, &secret, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_secret(reply, s->manager, secret);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* A FilterLookup of secrets. */
static bool lookup(const void *secret, const FilterField *field, const char **ret) {
        const Secret *s = secret;

        if (streq(field->rests[0], "name"))
                return filter_value(s->name, ret);
        if (streq(field->rests[0], "namespace"))
                return filter_value(s->namespace, ret);
        return label_lookup(s->labels, field, ret);
}

static int list_one(const Secret *s, void *userdata) {
        const Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, lookup, s))
                return 0;
        r = listing_entry_open(l, s->name);
        if (r >= 0)
                r = append_secret(l->reply, l->manager, s);
        return r < 0 ? r : MIN_OF(listing_entry_close(l), 0);
}

static int fill(Listing *l, Error *e) {
        return db_secrets_foreach(l->manager->db, l->namespace, list_one, l, e);
}

int method_list_secrets(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(SecretOptions, namespace)},
                        {"AllNamespaces", "b", option_bool,
                         offsetof(SecretOptions, all_namespaces)},
                        {"Filters", "as", option_filters, offsetof(SecretOptions, filters)},
                        {},
        };
        _cleanup_(secret_options_done) SecretOptions options = {};
        Service *s = userdata;
        int r;

        r = prepare(m, s, table, &options, error);
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
