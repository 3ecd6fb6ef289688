/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/object.h"

#include "basic/strv.h"
#include "bus/interfaces.h"
#include "bus/service.h"
#include "manager/job.h"
#include "manager/manager.h"

const BusObjectKind *bus_object_kind(ObjectType type) {
        static const BusObjectKind kinds[_OBJECT_TYPE_MAX] = {
                        [OBJECT_IMAGE] = {OBJECT_IMAGE, {{IMAGE_INTERFACE, image_vtable}}},
                        [OBJECT_CONTAINER] = {OBJECT_CONTAINER,
                                              {{CONTAINER_INTERFACE, container_vtable}}},
                        [OBJECT_TASK] = {OBJECT_TASK,
                                         {{TASK_INTERFACE, task_vtable},
                                          {PROCESS_INTERFACE, process_vtable}}},
                        [OBJECT_EXEC] = {OBJECT_EXEC, {{PROCESS_INTERFACE, process_vtable}}},
                        [OBJECT_JOB] = {OBJECT_JOB, {{JOB_INTERFACE, job_vtable}}},
        };

        return &kinds[type];
}

static int find_of_type(Manager *m, ObjectType type, const char *path, void **ret_found) {
        _cleanup_free_ char *namespace = NULL, *name = NULL;
        Object *o;
        int r;

        r = bus_path_parse(type, path, &namespace, &name);
        if (r <= 0)
                return r;
        o = object_find(m, type, namespace, name);
        if (!o)
                return 0;
        *ret_found = o;
        return 1;
}

/* A job that has ended is not shown any more, but Wait still tells what it brought. */
static int find_ended_job(Manager *m, sd_bus *bus, const char *path, void **ret_found) {
        _cleanup_free_ char *namespace = NULL, *name = NULL;
        sd_bus_message *call = sd_bus_get_current_message(bus);
        int r;

        if (!call || sd_bus_message_is_method_call(call, JOB_INTERFACE, "Wait") <= 0)
                return 0;
        r = bus_path_parse(OBJECT_JOB, path, &namespace, &name);
        if (r <= 0)
                return r;
        *ret_found = job_find_ended(m, name);
        return *ret_found ? 1 : 0;
}

/* An interface has one vtable below a prefix: Process there is that of tasks and of execs. */
static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
                       void **ret_found, sd_bus_error *error) {
        BusRegistration *registration = userdata;
        Manager *m = registration->service->manager;
        int r;

        r = find_of_type(m, registration->type, path, ret_found);
        if (r == 0 && registration->type == OBJECT_TASK && streq(interface, PROCESS_INTERFACE))
                r = find_of_type(m, OBJECT_EXEC, path, ret_found);
        if (r == 0 && registration->type == OBJECT_JOB)
                r = find_ended_job(m, bus, path, ret_found);
        return r;
}

typedef struct Paths {
        char **paths;
        size_t n;
} Paths;

static int collect_path(Object *o, void *userdata) {
        Paths *p = userdata;
        int r;

        r = bus_path_of(o, &p->paths[p->n]);
        if (r < 0)
                return r;
        p->n++;
        return 0;
}

static int enumerate_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                             sd_bus_error *error) {
        BusRegistration *registration = userdata;
        Manager *m = registration->service->manager;
        _cleanup_strv_free_ char **paths = NULL;
        int r;

        paths = calloc(object_count(m, registration->type) + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        r = object_foreach(m, registration->type, NULL, collect_path, &(Paths){.paths = paths});
        if (r < 0)
                return r;
        *ret_nodes = TAKE_PTR(paths);
        return 1;
}

static int register_kind(Service *s, ObjectType type) {
        const BusObjectKind *kind = bus_object_kind(type);
        BusRegistration *registration = &s->registrations[type];
        int r;

        *registration = (BusRegistration){.service = s, .type = type};
        for (const BusInterface *i = kind->interfaces; i->name && type != OBJECT_EXEC; i++) {
                r = sd_bus_add_fallback_vtable(s->bus, service_slot(s), bus_path_prefix(type),
                                               i->name, i->vtable, find_object, registration);
                if (r < 0)
                        return r;
        }
        return sd_bus_add_node_enumerator(s->bus, service_slot(s), bus_path_prefix(type),
                                          enumerate_objects, registration);
}

int bus_objects_register(Service *s) {
        for (ObjectType type = 0; type < _OBJECT_TYPE_MAX; type++) {
                int r = register_kind(s, type);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Our own names are valid text: checking each of their characters, 19,000 names for a thousand
 * tasks, takes a twelfth of the time of a listing. */
static int append_name(sd_bus_message *m, const char *name) {
        size_t n = strlen(name);
        char *space;
        int r;

        r = sd_bus_message_append_string_space(m, n, &space);
        if (r < 0)
                return r;
        memcpy(space, name, n + 1);
        return 0;
}

static int append_property(sd_bus_message *m, const char *path, const char *interface,
                           const sd_bus_vtable *v, Object *o, sd_bus_error *error) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = append_name(m, v->x.property.member);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', v->x.property.signature);
        if (r < 0)
                return r;
        r = v->x.property.get(sd_bus_message_get_bus(m), path, interface, v->x.property.member, m,
                              (uint8_t *) o + v->x.property.offset, error);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int append_properties(sd_bus_message *m, const char *path, Object *o, sd_bus_error *error) {
        const BusObjectKind *kind = bus_object_kind(o->type);
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        for (const BusInterface *i = kind->interfaces; i->name; i++)
                for (const sd_bus_vtable *v = i->vtable; v->type != _SD_BUS_VTABLE_END; v++) {
                        if (v->type != _SD_BUS_VTABLE_PROPERTY)
                                continue;
                        r = append_property(m, path, i->name, v, o, error);
                        if (r < 0)
                                return r;
                }
        return sd_bus_message_close_container(m);
}

int bus_object_append(sd_bus_message *m, Object *o, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_of(o, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'r', "oa{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, 'o', path);
        if (r < 0)
                return r;
        r = append_properties(m, path, o, error);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

typedef struct Listing {
        sd_bus_message *reply;
        sd_bus_error *error;
        bool (*filter)(Object *o, void *userdata);
        void *userdata;
} Listing;

static int list_one(Object *o, void *userdata) {
        Listing *l = userdata;

        if (l->filter && !l->filter(o, l->userdata))
                return 0;
        return bus_object_append(l->reply, o, l->error);
}

int bus_objects_reply(sd_bus_message *m, Manager *manager, ObjectType type, const char *namespace,
                      bool (*filter)(Object *o, void *userdata), void *userdata,
                      sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Listing l;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(oa{sv})");
        if (r < 0)
                return r;
        l = (Listing){.reply = reply, .error = error, .filter = filter, .userdata = userdata};
        r = object_foreach(manager, type, namespace, list_one, &l);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}
