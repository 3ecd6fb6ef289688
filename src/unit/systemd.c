/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/systemd.h"

#include "basic/identifier.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "unit/systemd-internal.h"

int systemd_call_new(Systemd *s, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(s->bus, ret, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                              SYSTEMD_INTERFACE, member);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *job, *result;
        Systemd *s = userdata;
        int r;

        r = sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result);
        if (r < 0)
                return log_warning_errno(r, "Cannot read systemd's JobRemoved: %m");
        scope_starts_job_removed(s, job, result);
        return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Systemd *s = userdata;
        const char *unit;
        int r;

        r = sd_bus_message_read(m, "so", &unit, NULL);
        if (r < 0)
                return log_warning_errno(r, "Cannot read systemd's UnitRemoved: %m");
        /* a reload unloads every unit and loads it again */
        if (!startswith(unit, "ctr-") || s->reloading)
                return 0;
        scope_starts_unit_removed(s, unit);
        if (s->unit_removed)
                s->unit_removed(unit, s->userdata);
        return 0;
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Systemd *s = userdata;
        int active, r;

        r = sd_bus_message_read(m, "b", &active);
        if (r < 0)
                return log_warning_errno(r, "Cannot read systemd's Reloading: %m");
        s->reloading = active;
        if (!active)
                scope_starts_again(s);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);

        if (failure &&
            !sd_bus_error_has_name(failure, "org.freedesktop.systemd1.AlreadySubscribed"))
                log_error("Cannot subscribe to systemd's signals: %s", failure->message);
        return 0;
}

static int systemd_subscribe(Systemd *s) {
        return sd_bus_call_method_async(s->bus, &s->subscribe_slot, SYSTEMD_DESTINATION,
                                        SYSTEMD_PATH, SYSTEMD_INTERFACE, "Subscribe", on_subscribed,
                                        s, NULL);
}

/* systemd is back on the bus after it executed itself anew (daemon-reexec): what was said to it or
 * by it in between may be lost. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *new_owner;
        Systemd *s = userdata;
        int r;

        r = sd_bus_message_read(m, "sss", NULL, NULL, &new_owner);
        if (r < 0)
                return log_warning_errno(r, "Cannot read NameOwnerChanged: %m");
        if (!*new_owner)
                return 0;
        s->reloading = false;
        r = systemd_subscribe(s);
        if (r < 0)
                log_error_errno(r, "Failed to subscribe to systemd again: %m");
        scope_starts_again(s);
        return 0;
}

/* A match that the bus refuses would leave us deaf; the connection is useless then. */
static int on_match_installed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_error(m, NULL))
                log_error("Cannot match systemd's signals: %s",
                          sd_bus_message_get_error(m)->message);
        return 0;
}

int systemd_new(sd_bus *bus, Systemd **ret, Error *e) {
        _cleanup_(systemd_freep) Systemd *s = NULL;
        int r;

        assert(bus && ret);

        s = calloc(1, sizeof(Systemd));
        if (!s)
                return -ENOMEM;
        s->ahead_fd = -1;
        s->bus = sd_bus_ref(bus);

        /* signals first, then whatever makes them come: none is missed */
        r = sd_bus_match_signal_async(bus, &s->job_removed_slot, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                      SYSTEMD_INTERFACE, "JobRemoved", on_job_removed,
                                      on_match_installed, s);
        if (r < 0)
                return error_setf(e, r, "Failed to match systemd's JobRemoved: %m");
        r = sd_bus_match_signal_async(bus, &s->unit_removed_slot, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                      SYSTEMD_INTERFACE, "UnitRemoved", on_unit_removed,
                                      on_match_installed, s);
        if (r < 0)
                return error_setf(e, r, "Failed to match systemd's UnitRemoved: %m");
        r = sd_bus_match_signal_async(bus, &s->reloading_slot, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                      SYSTEMD_INTERFACE, "Reloading", on_reloading,
                                      on_match_installed, s);
        if (r < 0)
                return error_setf(e, r, "Failed to match systemd's Reloading: %m");
        r = sd_bus_add_match_async(bus, &s->owner_slot,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" SYSTEMD_DESTINATION "'",
                                   on_owner_changed, on_match_installed, s);
        if (r < 0)
                return error_setf(e, r, "Failed to watch systemd's name: %m");
        r = systemd_subscribe(s);
        if (r < 0)
                return error_setf(e, r, "Failed to subscribe to systemd: %m");

        *ret = TAKE_PTR(s);
        return 0;
}

Systemd *systemd_free(Systemd *s) {
        if (!s)
                return NULL;
        assert(!s->starts);
        scope_ahead_stop(s);
        sd_bus_slot_unref(s->job_removed_slot);
        sd_bus_slot_unref(s->unit_removed_slot);
        sd_bus_slot_unref(s->reloading_slot);
        sd_bus_slot_unref(s->owner_slot);
        sd_bus_slot_unref(s->subscribe_slot);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}

void systemd_set_unit_removed(Systemd *s, SystemdUnitRemoved callback, void *userdata) {
        s->unit_removed = callback;
        s->userdata = userdata;
}

/* SIGKILL for what is in it; and a stop, because a scope that lost its processes before systemd
 * looked is empty and active for ever. */
void scope_kill(Systemd *s, const char *unit) {
        int r;

        r = sd_bus_call_method_async(s->bus, NULL, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                     SYSTEMD_INTERFACE, "KillUnit", NULL, NULL, "ssi", unit, "all",
                                     SIGKILL);
        if (r >= 0)
                r = sd_bus_call_method_async(s->bus, NULL, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                             SYSTEMD_INTERFACE, "StopUnit", NULL, NULL, "ss", unit,
                                             "replace");
        if (r < 0)
                log_warning_errno(r, "Failed to ask systemd to kill %s: %m", unit);
}

typedef struct ScopeList {
        ScopeListCallback callback;
        void *userdata;
} ScopeList;

static int list_read(sd_bus_message *m, char ***units) {
        const char *unit, *active_state;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ssssssouso)", &unit, NULL, NULL, &active_state, NULL,
                                        NULL, NULL, NULL, NULL, NULL)) > 0) {
                if (streq(active_state, "inactive") || streq(active_state, "failed"))
                        continue;
                r = strv_extend(units, unit);
                if (r < 0)
                        return r;
        }
        return r;
}

static int on_units_listed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ ScopeList *list = userdata;
        _cleanup_strv_free_ char **units = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                r = error_setf(&e, CTR_UNAVAILABLE, "Cannot list the scopes: %s",
                               sd_bus_message_get_error(m)->message);
        else {
                r = list_read(m, &units);
                if (r < 0)
                        error_setf(&e, r, "Cannot read systemd's list of units: %m");
        }
        list->callback(r, units, &e, list->userdata);
        return 0;
}

int scope_list(Systemd *s, ScopeListCallback callback, void *userdata) {
        _cleanup_free_ ScopeList *list = NULL;
        int r;

        list = malloc(sizeof(ScopeList));
        if (!list)
                return -ENOMEM;
        *list = (ScopeList){.callback = callback, .userdata = userdata};

        /* a floating slot lives as long as the bus, and so does what it points to */
        r = sd_bus_call_method_async(s->bus, NULL, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                     SYSTEMD_INTERFACE, "ListUnitsByPatterns", on_units_listed,
                                     list, "asas", 0, 1, "ctr-*.scope");
        if (r < 0)
                return r;
        TAKE_PTR(list);
        return 0;
}
