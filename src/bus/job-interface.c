/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Job */

#include "bus/authorize.h"
#include "bus/container.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/job.h"

/* The same as of the method that made it: a container, which may not be there yet or any more, or
 * what an image is called. */
static AuthorityDetails job_details(const Job *j) {
        Object *container;

        if (!startswith(strempty(j->type->action), "container-"))
                return (AuthorityDetails){.namespace = j->namespace, .image = j->description};
        container = object_find(j->object.manager, OBJECT_CONTAINER, j->namespace, j->description);
        return container ? container_authority_details(CONTAINER(container))
                         : (AuthorityDetails){.namespace = j->namespace,
                                              .container = j->description};
}

static int job_authorize(Job *j, sd_bus_message *m, sd_bus_error *error) {
        const AuthorityDetails details = job_details(j);

        return authorize(service_of(&j->object), m, &details, error);
}

/* The image of that name, in the job's namespace. */
static int append_image(sd_bus_message *m, const Job *j, const char *name) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_new(OBJECT_IMAGE, j->namespace, name, &path);
        return r < 0 ? r : sd_bus_message_append(m, "v", "o", path);
}

static int append_strings(sd_bus_message *m, json_t *strings) {
        json_t *s;
        size_t i;
        int r;

        r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        json_array_foreach(strings, i, s)
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', strempty(json_string_value(s)));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_outcome(sd_bus_message *m, const Job *j, const char *key, json_t *value) {
        if (streq(key, "Image"))
                return append_image(m, j, json_string_value(value));
        if (json_is_array(value))
                return append_strings(m, value);
        if (json_is_boolean(value))
                return sd_bus_message_append(m, "v", "b", (int) json_is_true(value));
        if (json_is_integer(value))
                return sd_bus_message_append(m, "v", "t", (uint64_t) json_integer_value(value));
        return sd_bus_message_append(m, "v", "s", strempty(json_string_value(value)));
}

static int reply_outcome(sd_bus_message *m, Object *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Job *j = JOB(o);
        const char *key;
        json_t *value;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        json_object_foreach(j->type->confidential ? NULL : j->outcome, key, value) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(reply, 's', key);
                if (r >= 0)
                        r = append_outcome(reply, j, key, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Job *j = userdata;
        Late *late;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = job_authorize(j, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        if (j->ended)
                return j->error.code != 0 ? bus_error_set(error, j->error.code, &j->error)
                                          : reply_outcome(m, &j->object);
        r = late_new(service_of(&j->object), m, reply_outcome, &late, error);
        if (r < 0)
                return r;
        late_set_waiters(late, &j->waiters);
        r = job_wait(j, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        AuthorityDetails details;
        Job *j = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        details = job_details(j);
        r = authorize_action(service_of(&j->object), m, j->type->action, &details, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = job_cancel(j, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, NULL);
}

static BUS_GETTER(property_get_type) {
        const Job *j = userdata;

        return sd_bus_message_append_basic(reply, 's', j->type->name);
}

static int append_progress(sd_bus_message *reply, json_t *blob) {
        const char *ref = json_string_value(json_object_get(blob, "ref")),
                   *phase = json_string_value(json_object_get(blob, "phase"));
        json_int_t offset = json_integer_value(json_object_get(blob, "offset")),
                   total = json_integer_value(json_object_get(blob, "total"));

        return sd_bus_message_append(reply, "(sstt)", strempty(ref), strempty(phase),
                                     (uint64_t) MAX_OF(offset, 0), (uint64_t) MAX_OF(total, 0));
}

static BUS_GETTER(property_get_progress) {
        json_t *const *progress = userdata, *blob;
        size_t i;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sstt)");
        if (r < 0)
                return r;
        json_array_foreach(*progress, i, blob) {
                r = append_progress(reply, blob);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

const sd_bus_vtable job_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("Id", "t", property_get_uint64, offsetof(Job, id),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Namespace", "s", property_get_string, offsetof(Job, namespace),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Type", "s", property_get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Description", "s", property_get_string, offsetof(Job, description),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Phase", "s", property_get_string, offsetof(Job, phase),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Progress", "a(sstt)", property_get_progress,
                                offsetof(Job, progress), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("StartedAt", "t", property_get_uint64, offsetof(Job, started_at),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", result), method_wait,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};
