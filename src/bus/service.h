/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The face of the core on one bus connection: what is registered there, the calls that wait for
 * polkit or for the core, and the signals. Which name the connection has is not its business
 * (see lifetime.h).
 *
 * Invariant: while the service runs, every method call that was read is answered, or its caller has
 * left the bus.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "bus/authority.h"
#include "bus/late.h"
#include "manager/manager.h"

#define SERVICE_SLOTS_MAX 24

typedef struct BusRegistration {
        Service *service;
        ObjectType type;
} BusRegistration;

struct Service {
        sd_bus *bus;
        Manager *manager;
        Authority *authority;
        LateList late;
        BusRegistration registrations[_OBJECT_TYPE_MAX];
        sd_bus_slot *slots[SERVICE_SLOTS_MAX];
        size_t n_slots;
        uint64_t last_call; /* monotonic: when the last method call came in */
};

/* Observes the manager and matches what it needs on the bus; no method is answered yet. */
int service_new(sd_bus *bus, Manager *manager, Service **ret, Error *e);

/* To be called after service_detach() and manager_free(), so that the core has nobody left to call
 * back. */
Service *service_free(Service *s);
DEFINE_CLEANUP(Service *, service_free);

/* Makes all objects visible: from here on methods are answered. */
int service_publish(Service *s, Error *e);

/* Nobody is to be told anything any more; the manager may be freed after this. */
void service_detach(Service *s);

/* A method call is being decided or answered: exiting now would lose it. */
bool service_is_busy(const Service *s);

/* Where to put the next slot; it lives as long as the service. */
sd_bus_slot **service_slot(Service *s);

static inline Service *service_of(const Object *o) {
        return o->manager->observer_userdata;
}
