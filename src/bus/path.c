/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/path.h"

static const char *const prefixes[_OBJECT_TYPE_MAX] = {
                [OBJECT_IMAGE] = BUS_PATH "/image", [OBJECT_CONTAINER] = BUS_PATH "/container",
                [OBJECT_TASK] = BUS_PATH "/task",   [OBJECT_EXEC] = BUS_PATH "/task",
                [OBJECT_JOB] = BUS_PATH "/job",
};

static const char *const templates[_OBJECT_TYPE_MAX] = {
                [OBJECT_IMAGE] = BUS_PATH "/image/%/%",
                [OBJECT_CONTAINER] = BUS_PATH "/container/%/%",
                [OBJECT_TASK] = BUS_PATH "/task/%/%",
};

const char *bus_path_prefix(ObjectType type) {
        return prefixes[type];
}

#define EXEC_TEMPLATE BUS_PATH "/task/%/%/exec/%"

/* The name is "ID/EXEC ID". */
static int exec_path_new(const char *namespace, const char *name, char **ret) {
        const char *slash = strchr(name, '/');
        _cleanup_free_ char *id = NULL;

        assert(slash);

        id = strndup(name, (size_t) (slash - name));
        if (!id)
                return -ENOMEM;
        return sd_bus_path_encode_many(ret, EXEC_TEMPLATE, namespace, id, slash + 1);
}

int bus_path_new(ObjectType type, const char *namespace, const char *name, char **ret) {
        if (type == OBJECT_EXEC)
                return exec_path_new(namespace, name, ret);
        if (type == OBJECT_JOB) /* a number, which needs no escaping and is easier to type so */
                return asprintf(ret, BUS_PATH "/job/%s", name) < 0 ? -ENOMEM : 0;
        return sd_bus_path_encode_many(ret, templates[type], namespace, name);
}

int bus_path_of(const Object *o, char **ret) {
        return bus_path_new(o->type, o->namespace, o->name, ret);
}

int bus_reply_path(sd_bus_message *m, Object *o) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_of(o, &path);
        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static int job_parse(const char *path, char **ret_name) {
        const char *name = startswith(path, BUS_PATH "/job/");

        if (isempty(name) || strspn(name, "0123456789") != strlen(name))
                return 0;
        *ret_name = strdup(name);
        return *ret_name ? 1 : -ENOMEM;
}

static int exec_parse(const char *path, char **ret_namespace, char **ret_name) {
        _cleanup_free_ char *namespace = NULL, *id = NULL, *exec_id = NULL;
        int r;

        r = sd_bus_path_decode_many(path, EXEC_TEMPLATE, &namespace, &id, &exec_id);
        if (r <= 0)
                return r;
        if (asprintf(ret_name, "%s/%s", id, exec_id) < 0)
                return -ENOMEM;
        *ret_namespace = TAKE_PTR(namespace);
        return 1;
}

int bus_path_parse(ObjectType type, const char *path, char **ret_namespace, char **ret_name) {
        _cleanup_free_ char *namespace = NULL, *name = NULL, *again = NULL;
        int r;

        if (type == OBJECT_JOB) {
                r = job_parse(path, &name);
                if (r > 0 && !(namespace = strdup("")))
                        return -ENOMEM;
        } else if (type == OBJECT_EXEC)
                r = exec_parse(path, &namespace, &name);
        else
                r = sd_bus_path_decode_many(path, templates[type], &namespace, &name);
        if (r <= 0)
                return r;

        r = bus_path_new(type, namespace, name, &again);
        if (r < 0)
                return r;
        if (!streq(again, path))
                return 0;

        *ret_namespace = TAKE_PTR(namespace);
        *ret_name = TAKE_PTR(name);
        return 1;
}
