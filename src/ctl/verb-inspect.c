/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * inspect: all properties of an object, and the documents behind it: a container's runtime-spec and
 * task, an image's manifest and configuration. An argument names a container if there is one of
 * that id, and an image otherwise.
 */

#include "ctl/bus-json.h"
#include "ctl/inspect.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

static int append_interface(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "s", userdata);
}

static int get_properties(Client *c, const char *path, const char *interface, const char *what,
                          const char *name, json_t **ret, Error *e) {
        const Call call = {.path = path,
                           .interface = INTERFACE_PROPERTIES,
                           .member = "GetAll",
                           .append = append_interface,
                           .userdata = (void *) interface,
                           .what = what,
                           .name = name};
        sd_bus_message *reply = NULL;
        int r;

        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the properties of %s: %m", name) : 0;
}

/* Calls a method that answers with JSON texts and sets them as the members keys[] of j. */
static int get_documents(Client *c, const char *path, const char *interface, const char *method,
                         const char *const *keys, json_t *j, Error *e) {
        const Call call = {.path = path,
                           .interface = interface,
                           .member = method,
                           .append = append_no_options};
        sd_bus_message *reply = NULL;
        int r;

        r = client_call(c, &call, &reply, e);
        for (; r == 0 && *keys; keys++) {
                const char *text;
                json_t *document;

                r = sd_bus_message_read(reply, "s", &text);
                if (r < 0) {
                        (void) error_setf(e, r, "Failed to read the %s: %m", *keys);
                        break;
                }
                r = json_parse(text, strlen(text), *keys, &document, e);
                if (r == 0 && json_object_set_new(j, *keys, document) < 0)
                        r = error_setf(e, -ENOMEM, "Out of memory");
        }
        sd_bus_message_unref(reply);
        return r;
}

static int inspect_task(Client *c, const char *id, json_t *container, Error *e) {
        _cleanup_json_ json_t *task = NULL, *process = NULL;
        _cleanup_error_ Error missing = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        path = client_object_path(c, "task", id);
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = get_properties(c, path, INTERFACE_TASK, "task", id, &task, &missing);
        if (r == 0)
                r = get_properties(c, path, INTERFACE_PROCESS, "task", id, &process, &missing);
        if (r == CTR_NOT_FOUND)
                return json_object_set_new(container, "Task", json_null()) < 0
                                       ? error_setf(e, -ENOMEM, "Out of memory")
                                       : 0;
        if (r != 0)
                return error_propagate(e, r, &missing);
        if (json_object_update(task, process) < 0 || json_object_set(container, "Task", task) < 0)
                return error_setf(e, -ENOMEM, "Out of memory");
        return 0;
}

static int inspect_container(Client *c, const char *id, json_t **ret, Error *e) {
        static const char *const keys[] = {"Spec", NULL};
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        path = client_object_path(c, "container", id);
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = get_properties(c, path, INTERFACE_CONTAINER, "container", id, &j, e);
        if (r == 0)
                r = inspect_task(c, id, j, e);
        if (r == 0)
                r = get_documents(c, path, INTERFACE_CONTAINER, "GetSpec", keys, j, e);
        if (r == 0)
                *ret = TAKE_PTR(j);
        return r;
}

typedef struct ImageRequest {
        Client *client;
        const char *reference;
} ImageRequest;

static int append_reference(sd_bus_message *m, void *userdata) {
        const ImageRequest *request = userdata;
        int r;

        r = sd_bus_message_append(m, "s", request->reference);
        return r < 0 ? r : append_namespace(m, request->client);
}

/* Sets what an image takes as its member "Usage". */
static int get_usage(Client *c, const char *path, json_t *j, Error *e) {
        const Call call = {.path = path,
                           .interface = INTERFACE_IMAGE,
                           .member = "Usage",
                           .append = append_no_options};
        sd_bus_message *reply = NULL;
        json_t *usage;
        int r;

        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, &usage);
        sd_bus_message_unref(reply);
        if (r < 0)
                return error_setf(e, r, "Failed to read the usage: %m");
        return json_object_set_new(j, "Usage", usage) < 0 ? error_setf(e, -ENOMEM, "Out of memory")
                                                          : 0;
}

int inspect_image(Client *c, const char *reference, json_t **ret, Error *e) {
        static const char *const keys[] = {"Manifest", "Config", NULL};
        ImageRequest request = {.client = c, .reference = reference};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "GetImage",
                           .append = append_reference,
                           .userdata = &request};
        _cleanup_json_ json_t *j = NULL;
        sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                r = error_setf(e, r, "Failed to read the path of the image: %m");
        else
                r = get_properties(c, path, INTERFACE_IMAGE, "image", reference, &j, e);
        if (r == 0)
                r = get_documents(c, path, INTERFACE_IMAGE, "Inspect", keys, j, e);
        if (r == 0)
                r = get_usage(c, path, j, e);
        sd_bus_message_unref(reply);
        if (r == 0)
                *ret = TAKE_PTR(j);
        return r;
}

static int inspect_one(Client *c, const char *name, json_t **ret, Error *e) {
        _cleanup_error_ Error first = ERROR_NULL, second = ERROR_NULL;
        int r;

        r = inspect_container(c, name, ret, &first);
        if (r == 0)
                return 0;
        if (r != CTR_NOT_FOUND)
                return error_propagate(e, r, &first);
        r = inspect_image(c, name, ret, &second);
        if (r == CTR_NOT_FOUND || r == CTR_INVALID_ARGUMENT)
                return error_setf(e, CTR_NOT_FOUND, "There is no container and no image \"%s\"",
                                  name);
        return r == 0 ? 0 : error_propagate(e, r, &second);
}

int verb_inspect(Client *c, char **args, Error *e) {
        _cleanup_json_ json_t *all = json_array();
        Pager pager = PAGER_NULL;
        int status = EXIT_SUCCESS, r;

        if (!all || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (; *args; args++) {
                _cleanup_error_ Error one = ERROR_NULL;
                json_t *j = NULL;

                if (inspect_one(c, *args, &j, &one) != 0) {
                        print_error("inspect", &one);
                        status = EXIT_FAILURE;
                } else if (json_array_append_new(all, j) < 0) {
                        (void) error_setf(e, -ENOMEM, "Out of memory");
                        return EXIT_FAILURE;
                }
        }
        if (json_array_size(all) == 0)
                return status;
        pager_open(&pager, c->options);
        r = print_json(all, c->options->json);
        if (pager_close(&pager) < 0 || r < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return status;
}
