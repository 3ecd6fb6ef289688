/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of objects, and the options that every call has. */

#include "basic/identifier.h"
#include "ctl/client.h"

const char *client_namespace(const Client *c) {
        return c->options->namespace ?: NAMESPACE_DEFAULT;
}

char *client_object_path(const Client *c, const char *kind, const char *id) {
        char *path = NULL;

        if (sd_bus_path_encode_many(&path, "/org/example/Ctr/%/%/%", kind, client_namespace(c),
                                    id) < 0)
                return NULL;
        return path;
}

char *client_exec_path(const Client *c, const char *id, const char *exec_id) {
        char *path = NULL;

        if (sd_bus_path_encode_many(&path, PATH_MANAGER "/task/%/%/exec/%", client_namespace(c), id,
                                    exec_id) < 0)
                return NULL;
        return path;
}

char *client_process_path(const Client *c, const char *name) {
        const char *slash = strchr(name, '/');
        _cleanup_free_ char *id = NULL;

        if (!slash)
                return client_object_path(c, "task", name);
        id = strndup(name, (size_t) (slash - name));
        return id ? client_exec_path(c, id, slash + 1) : NULL;
}

int append_no_options(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "a{sv}", 0);
}

int message_append_namespace(sd_bus_message *m, const Client *c) {
        return c->options->namespace ? sd_bus_message_append(m, "{sv}", "Namespace", "s",
                                                             c->options->namespace)
                                     : 0;
}

int append_namespace(sd_bus_message *m, void *userdata) {
        const Client *c = userdata;

        return c->options->namespace ? sd_bus_message_append(m, "a{sv}", 1, "Namespace", "s",
                                                             c->options->namespace)
                                     : sd_bus_message_append(m, "a{sv}", 0);
}
