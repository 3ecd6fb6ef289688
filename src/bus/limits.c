/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/limits.h"

#include <inttypes.h>

#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/process.h"
#include "manager/limits.h"
#include "unit/properties.h"

static const Option table[] = {LIMIT_OPTIONS(0), {}};

static int set_limit(OptionReader *o, json_t **limits, json_t *value) {
        if (!*limits)
                *limits = json_object();
        return json_object_set_new(*limits, o->key, value) < 0 ? -ENOMEM : 0;
}

int option_limit_number(OptionReader *o, void *target) {
        uint64_t value;
        int r;

        r = option_uint64(o, &value);
        if (r < 0)
                return r;
        if (value > INT64_MAX && value != UINT64_MAX)
                return option_invalid(o, "%" PRIu64 " is out of range", value);
        return set_limit(o, target, json_integer((json_int_t) value)); /* infinity is -1 */
}

int option_limit_list(OptionReader *o, void *target) {
        const char *value;
        int r;

        r = option_read_string(o, &value);
        if (r < 0)
                return r;
        return set_limit(o, target, json_string(value));
}

static int read_limits(sd_bus_message *m, json_t **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = options_read(m, table, ret, error);
        if (r < 0)
                return r;
        if (!*ret)
                *ret = json_object(); /* no change */
        if (!*ret)
                return -ENOMEM;
        r = unit_properties_check(*ret, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}

int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ json_t *limits = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;
        Late *late;
        int r;

        r = read_limits(m, &limits, error);
        if (r < 0)
                return r;
        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = process_begin(&t->process, m, late_reply_empty, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_update(t, limits, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

BUS_GETTER(property_get_resources) {
        json_t *limits = task_limits(userdata);
        bool any = json_object_size(limits) > 0; /* most tasks have none */
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (const Option *o = table; any && r >= 0 && o->key; o++) {
                json_t *value = json_object_get(limits, o->key);

                /* infinity is no limit */
                if (json_is_string(value))
                        r = sd_bus_message_append(reply, "{sv}", o->key, "s",
                                                  json_string_value(value));
                else if (value && json_integer_value(value) >= 0)
                        r = sd_bus_message_append(reply, "{sv}", o->key, "t",
                                                  (uint64_t) json_integer_value(value));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
