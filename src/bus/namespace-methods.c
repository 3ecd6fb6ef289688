/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager about namespaces. */

#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"

/* The name, labels where a method has some, options that are understood although there is nothing
 * to choose, and permission: as prepare_container() and its like. */
static int prepare_namespace(sd_bus_message *m, Service *s, const char **ret, json_t **ret_labels,
                             sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *ignored;
        int r;

        r = sd_bus_message_read_basic(m, 's', ret);
        if (r < 0)
                return r;
        r = namespace_validate(*ret, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        if (ret_labels) {
                r = labels_read(m, ret_labels, error);
                if (r < 0)
                        return r;
        }
        r = options_read(m, namespace_option, &ignored, error);
        return r < 0 ? r : authorize(s, m, &(AuthorityDetails){.namespace = *ret}, error);
}

static int write_namespace(sd_bus_message *m, Service *s,
                           int (*write)(Manager *m, const char *name, json_t *labels, Error *e),
                           sd_bus_error *error) {
        _cleanup_json_ json_t *labels = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace;
        int r;

        r = prepare_namespace(m, s, &namespace, &labels, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = write(s->manager, namespace, labels, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, NULL);
}

int method_create_namespace(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return write_namespace(m, userdata, manager_namespace_create, error);
}

int method_set_namespace_labels(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return write_namespace(m, userdata, manager_namespace_set_labels, error);
}

int method_delete_namespace(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace;
        Service *s = userdata;
        int r;

        r = prepare_namespace(m, s, &namespace, NULL, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = manager_namespace_delete(s->manager, namespace, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, NULL);
}

static int append_namespaces(sd_bus_message *reply, json_t *namespaces) {
        const char *name;
        json_t *labels;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sa{ss})");
        if (r < 0)
                return r;
        json_object_foreach(namespaces, name, labels) {
                r = sd_bus_message_open_container(reply, 'r', "sa{ss}");
                if (r < 0)
                        return r;
                r = sd_bus_message_append_basic(reply, 's', name);
                if (r < 0)
                        return r;
                r = labels_append(reply, labels);
                if (r < 0)
                        return r;
                r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

int method_list_namespaces(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *namespaces = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        int r;

        r = prepare_nothing(m, s, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = manager_namespace_list(s->manager, &namespaces, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_namespaces(reply, namespaces);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}
