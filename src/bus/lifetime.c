/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/lifetime.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "bus/path.h"
#include "manager/manager.h"

#define NAME_PRIMARY_OWNER  1U /* D-Bus specification, RequestName */
#define BUSY_CHECK_USEC     (200 * USEC_PER_MSEC)
#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)
#define EXTEND_USEC         (30 * USEC_PER_SEC)

typedef enum LifetimeState {
        LIFETIME_STARTING,  /* the name was requested */
        LIFETIME_RUNNING,   /* we have it */
        LIFETIME_RELEASING, /* systemd knows that we go; the name is being released */
        LIFETIME_LEAVING,   /* a late call is being worked on, then we go */
} LifetimeState;

struct Lifetime {
        Service *service;
        sd_event *event;
        sd_event_source *timer;
        sd_bus_slot *name_slot;
        LifetimeState state;
        uint64_t idle_usec;
};

static bool is_busy(const Lifetime *l) {
        return service_is_busy(l->service) || !manager_is_idle(l->service->manager);
}

static void set_timer(Lifetime *l, uint64_t usec) {
        int r;

        r = sd_event_source_set_time(l->timer, usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                log_warning_errno(r, "Failed to set the idle timer, staying: %m");
}

static int on_name_acquired(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        Lifetime *l = userdata;
        uint32_t result = 0;
        int r;

        if (failure) {
                log_error("Cannot take the name %s on the bus: %s", BUS_NAME, failure->message);
                return sd_event_exit(l->event, EXIT_FAILURE);
        }
        r = sd_bus_message_read(reply, "u", &result);
        if (r < 0 || result != NAME_PRIMARY_OWNER) {
                log_error("The name %s is taken: another manager is running", BUS_NAME);
                return sd_event_exit(l->event, EXIT_FAILURE);
        }
        if (l->state == LIFETIME_LEAVING)
                return 0;

        l->state = LIFETIME_RUNNING;
        if (l->idle_usec != UINT64_MAX)
                set_timer(l, now_monotonic() + l->idle_usec);
        (void) sd_notifyf(false, "READY=1\nSTATUS=Ready with %zu containers and %zu tasks.",
                          object_count(l->service->manager, OBJECT_CONTAINER),
                          object_count(l->service->manager, OBJECT_TASK));
        log_debug("Ready");
        return 0;
}

static int request_name(Lifetime *l) {
        l->name_slot = sd_bus_slot_unref(l->name_slot);
        /* neither queueing for it nor replacing whoever has it */
        return sd_bus_request_name_async(l->service->bus, &l->name_slot, BUS_NAME, 0,
                                         on_name_acquired, l);
}

static int on_name_released(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        Lifetime *l = userdata;
        int r;

        if (failure)
                log_warning("Failed to release the name: %s", failure->message);
        if (!is_busy(l)) {
                log_debug("Nothing to do, exiting");
                return sd_event_exit(l->event, EXIT_SUCCESS);
        }

        log_debug("Exiting later, there is something to do");
        l->state = LIFETIME_LEAVING;
        set_timer(l, now_monotonic() + BUSY_CHECK_USEC);
        r = request_name(l);
        if (r < 0)
                log_warning_errno(r, "Failed to take the name back: %m");
        return 0;
}

static int release_name(Lifetime *l) {
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Idle, exiting.");
        l->state = LIFETIME_RELEASING;
        l->name_slot = sd_bus_slot_unref(l->name_slot);
        return sd_bus_release_name_async(l->service->bus, &l->name_slot, BUS_NAME, on_name_released,
                                         l);
}

/* When to look again; 0: now is the time to go. */
static uint64_t next_look(const Lifetime *l, uint64_t now) {
        uint64_t idle_until = l->service->last_call + l->idle_usec;

        if (is_busy(l))
                return now + (l->state == LIFETIME_LEAVING ? BUSY_CHECK_USEC
                                                           : MAX_OF(l->idle_usec, BUSY_CHECK_USEC));
        return l->state == LIFETIME_LEAVING || now >= idle_until ? 0 : idle_until;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Lifetime *l = userdata;
        uint64_t next;
        int r;

        next = next_look(l, now_monotonic());
        if (next > 0) {
                if (l->state == LIFETIME_LEAVING)
                        (void) sd_notifyf(false, "EXTEND_TIMEOUT_USEC=%" PRIu64, EXTEND_USEC);
                set_timer(l, next);
                return 0;
        }
        r = release_name(l);
        if (r < 0)
                log_error_errno(r, "Failed to release the name: %m");
        return r < 0 ? sd_event_exit(l->event, EXIT_FAILURE) : 0;
}

int lifetime_new(Service *s, uint64_t idle_usec, Lifetime **ret, Error *e) {
        _cleanup_(lifetime_freep) Lifetime *l = NULL;
        int r;

        l = calloc(1, sizeof(Lifetime));
        if (!l)
                return -ENOMEM;
        l->service = s;
        l->idle_usec = idle_usec;
        l->event = sd_event_ref(sd_bus_get_event(s->bus));

        /* the default accuracy would make a short idle time up to a second longer */
        r = sd_event_add_time(l->event, &l->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                              on_timer, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        if (r < 0)
                return error_setf(e, r, "Failed to make the idle timer: %m");
        r = request_name(l);
        if (r < 0)
                return error_setf(e, r, "Failed to request the name %s: %m", BUS_NAME);
        *ret = TAKE_PTR(l);
        return 0;
}

Lifetime *lifetime_free(Lifetime *l) {
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->timer);
        sd_bus_slot_unref(l->name_slot);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}
