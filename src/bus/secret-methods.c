/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about secrets. None of them answers what is in one. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/db.h"
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
        int r;

        options->namespace = NAMESPACE_DEFAULT;
        r = options_read(m, table, options, error);
        if (r < 0)
                return r;
        if (options->all_namespaces)
                options->namespace = NULL;
        return authorize(s, m, &(AuthorityDetails){.namespace = options->namespace}, error);
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

static const Option namespace_table[] = {
                {"Namespace", "s", option_namespace, offsetof(SecretOptions, namespace)},
                {},
};

int method_remove_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        SecretOptions options = {};
        Service *s = userdata;
        const char *name;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = prepare(m, s, namespace_table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = secret_remove(s->manager, options.namespace, name, &e);
        return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
}

/* Appends a{sv}. */
static int append_secret(sd_bus_message *m, Manager *manager, const Secret *s) {
        _cleanup_json_ json_t *users = NULL;
        json_t *user;
        size_t i;
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
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "Containers");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        json_array_foreach(users, i, user)
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', json_string_value(user));
        for (int k = 0; r >= 0 && k < 4; k++)
                r = sd_bus_message_close_container(m);
        return r;
}

int method_stat_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(secret_freep) Secret *secret = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        SecretOptions options = {};
        Service *s = userdata;
        const char *name;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = prepare(m, s, namespace_table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = secret_find(s->manager, options.namespace, name, &secret, &e);
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
        json_t *label;

        if (streq(field->rests[0], "name"))
                return filter_value(s->name, ret);
        if (streq(field->rests[0], "namespace"))
                return filter_value(s->namespace, ret);
        if (field->n < 2 || !streq(field->names[0], "labels"))
                return false;
        label = json_object_get(s->labels, field->rests[1]);
        *ret = strempty(json_string_value(label));
        return label;
}

typedef struct Listing {
        Manager *manager;
        sd_bus_message *reply;
        const Filter *filters;
} Listing;

static int list_one(const Secret *s, void *userdata) {
        Listing *l = userdata;
        int r;

        if (!filter_matches(l->filters, lookup, s))
                return 0;
        r = sd_bus_message_open_container(l->reply, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(l->reply, 's', s->name);
        if (r >= 0)
                r = append_secret(l->reply, l->manager, s);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return MIN_OF(r, 0);
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
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        int r;

        r = prepare(m, s, table, &options, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
        if (r < 0)
                return r;
        r = db_secrets_foreach(s->manager->db, options.namespace, list_one,
                               &(Listing){s->manager, reply, options.filters}, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
