/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/update.h"

#include "basic/json.h"
#include "basic/log.h"
#include "unit/properties.h"
#include "unit/systemd-internal.h"

#define CALL_TIMEOUT_USEC    (30 * USEC_PER_SEC)
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"
#define SCOPE_INTERFACE      "org.freedesktop.systemd1.Scope"

struct UnitCall {
        char *unit;
        sd_bus_slot *slot, *default_slot;
        uint64_t default_tasks_max; /* answered before the unit's properties are */
        UnitCallback callback;
        void *userdata;
};

UnitCall *unit_call_free(UnitCall *c) {
        if (!c)
                return NULL;
        sd_bus_slot_unref(c->slot);
        sd_bus_slot_unref(c->default_slot);
        free(c->unit);
        free(c);
        return NULL;
}

static int unit_call_new(const char *unit, UnitCallback callback, void *userdata, UnitCall **ret) {
        UnitCall *c;

        c = calloc(1, sizeof(UnitCall));
        if (!c)
                return -ENOMEM;
        *c = (UnitCall){
                        .unit = strdup(unit),
                        .callback = callback,
                        .userdata = userdata,
        };
        *ret = c;
        return c->unit ? 0 : -ENOMEM;
}

/* What systemd's error means to us; its sentences begin with the property: "MemoryMax= is out of
 * range". */
static int set_failure(const UnitCall *c, const sd_bus_error *failure, Error *e) {
        const char *text = failure->message ?: failure->name;

        if (sd_bus_error_has_name(failure, SD_BUS_ERROR_INVALID_ARGS) ||
            sd_bus_error_has_name(failure, SD_BUS_ERROR_PROPERTY_READ_ONLY))
                return error_setf(e, CTR_INVALID_ARGUMENT, "systemd refused the change: %s", text);
        if (sd_bus_error_has_name(failure, "org.freedesktop.systemd1.NoSuchUnit") ||
            sd_bus_error_has_name(failure, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return error_setf(e, CTR_FAILED_PRECONDITION, "The scope %s is not there any more",
                                  c->unit);
        return error_setf(e, CTR_UNAVAILABLE, "systemd did not answer about %s: %s", c->unit, text);
}

static int on_set(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);
        _cleanup_error_ Error e = ERROR_NULL;
        UnitCall *c = userdata;
        int r = 0;

        if (failure)
                r = set_failure(c, failure, &e);
        c->callback(r, NULL, &e, c->userdata);
        return 0;
}

int unit_set_properties(Systemd *s, const char *unit, json_t *properties, UnitCallback callback,
                        void *userdata, UnitCall **ret, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(unit_call_freep) UnitCall *c = NULL;
        int r;

        assert(s && unit && callback && ret);

        r = unit_call_new(unit, callback, userdata, &c);
        if (r >= 0)
                r = systemd_call_new(s, "SetUnitProperties", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "sb", unit, true);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = unit_properties_append(m, properties);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_call_async(s->bus, &c->slot, m, on_set, c, CALL_TIMEOUT_USEC);
        if (r < 0)
                return error_setf(e, r, "Failed to ask systemd to change %s: %m", unit);
        *ret = TAKE_PTR(c);
        return 0;
}

static int read_property(const UnitCall *c, sd_bus_message *m, const UnitProperty *p,
                         json_t *properties) {
        json_t *value = NULL;
        int r;

        r = unit_property_read(m, p, &value);
        if (r <= 0)
                return r;
        if (streq(p->name, "TasksMax") &&
            (uint64_t) json_integer_value(value) == c->default_tasks_max) {
                json_decref(value);
                return 0;
        }
        return json_object_set_new(properties, p->name, value) < 0 ? -ENOMEM : 0;
}

static int read_properties(const UnitCall *c, sd_bus_message *m, json_t *properties) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const UnitProperty *p;
                const char *name;

                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                p = unit_property_find(name);
                if (p && (p->type == UNIT_PROPERTY_UINT64 || p->type == UNIT_PROPERTY_CPU_SET))
                        r = read_property(c, m, p, properties);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int on_got(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);
        _cleanup_json_ json_t *properties = json_object();
        _cleanup_error_ Error e = ERROR_NULL;
        UnitCall *c = userdata;
        int r;

        if (failure)
                r = set_failure(c, failure, &e);
        else {
                r = properties ? read_properties(c, m, properties) : -ENOMEM;
                if (r < 0)
                        error_setf(&e, r, "Cannot read the properties of %s: %m", c->unit);
        }
        c->callback(r, properties, &e, c->userdata);
        return 0;
}

/* Without it TasksMax is told about though nobody set it. */
static int on_default(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UnitCall *c = userdata;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return 0;
        r = sd_bus_message_read(m, "v", "t", &c->default_tasks_max);
        if (r < 0)
                log_warning_errno(r, "Cannot read systemd's DefaultTasksMax: %m");
        return 0;
}

int unit_get_properties(Systemd *s, const char *unit, UnitCallback callback, void *userdata,
                        UnitCall **ret, Error *e) {
        _cleanup_(unit_call_freep) UnitCall *c = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        assert(s && unit && callback && ret);

        r = unit_call_new(unit, callback, userdata, &c);
        if (r >= 0)
                r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_call_method_async(s->bus, &c->default_slot, SYSTEMD_DESTINATION,
                                             SYSTEMD_PATH, PROPERTIES_INTERFACE, "Get", on_default,
                                             c, "ss", SYSTEMD_INTERFACE, "DefaultTasksMax");
        if (r >= 0)
                r = sd_bus_call_method_async(s->bus, &c->slot, SYSTEMD_DESTINATION, path,
                                             PROPERTIES_INTERFACE, "GetAll", on_got, c, "s",
                                             SCOPE_INTERFACE);
        if (r < 0)
                return error_setf(e, r, "Failed to ask systemd about %s: %m", unit);
        *ret = TAKE_PTR(c);
        return 0;
}
