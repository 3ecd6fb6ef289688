/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/service.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "bus/exec-client.h"
#include "bus/interfaces.h"
#include "bus/object.h"
#include "bus/observer.h"

sd_bus_slot **service_slot(Service *s) {
        assert(s->n_slots < SERVICE_SLOTS_MAX);
        return &s->slots[s->n_slots++];
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *s = userdata;

        if (sd_bus_message_is_method_call(m, NULL, NULL) > 0)
                s->last_call = now_monotonic();
        return 0;
}

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *s = userdata;
        const char *name, *new_owner;
        int r;

        r = sd_bus_message_read(m, "sss", &name, NULL, &new_owner);
        if (r < 0)
                return log_warning_errno(r, "Failed to read NameOwnerChanged: %m");
        if (name[0] != ':' || !isempty(new_owner))
                return 0;
        authority_drop_sender(s->authority, name);
        late_drop_sender(&s->late, name);
        exec_client_left(s, name);
        return 0;
}

static int on_match_installed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);

        if (failure)
                log_warning("Cannot watch callers leave the bus: %s", failure->message);
        return 0;
}

int service_new(sd_bus *bus, Manager *manager, Service **ret, Error *e) {
        _cleanup_(service_freep) Service *s = NULL;
        int r;

        s = calloc(1, sizeof(Service));
        if (!s)
                return -ENOMEM;
        s->bus = sd_bus_ref(bus);
        s->manager = manager;
        s->last_call = now_monotonic();

        r = authority_new(bus, &s->authority, e);
        if (r != 0)
                return r;
        r = sd_bus_add_filter(bus, service_slot(s), on_call, s);
        if (r < 0)
                return error_setf(e, r, "Failed to watch method calls: %m");
        /* only of names that go away, which unique names do once */
        r = sd_bus_add_match_async(
                        bus, service_slot(s),
                        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                        on_name_owner_changed, on_match_installed, s);
        if (r < 0)
                return error_setf(e, r, "Failed to watch callers leave the bus: %m");

        manager_set_observer(manager, &service_observer, s);
        *ret = TAKE_PTR(s);
        return 0;
}

Service *service_free(Service *s) {
        if (!s)
                return NULL;
        late_free_all(&s->late);
        authority_free(s->authority);
        while (s->n_slots > 0)
                sd_bus_slot_unref(s->slots[--s->n_slots]);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}

int service_publish(Service *s, Error *e) {
        int r;

        r = sd_bus_add_object_manager(s->bus, service_slot(s), BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_object_vtable(s->bus, service_slot(s), BUS_PATH, MANAGER_INTERFACE,
                                             manager_vtable, s);
        if (r >= 0)
                r = bus_objects_register(s);
        if (r >= 0)
                r = exec_clients_ask(s);
        if (r < 0)
                return error_setf(e, r, "Failed to register the objects: %m");
        return 0;
}

void service_detach(Service *s) {
        manager_set_observer(s->manager, NULL, NULL);
}

bool service_is_busy(const Service *s) {
        return authority_pending(s->authority) > 0 || s->late.n > 0;
}
