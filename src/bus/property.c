/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/property.h"

#include <jansson.h>

#include "basic/macro.h"

BUS_GETTER(property_get_string) {
        char *const *s = userdata;

        return sd_bus_message_append_basic(reply, 's', strempty(*s));
}

BUS_GETTER(property_get_bool) {
        const int b = *(const bool *) userdata;

        return sd_bus_message_append_basic(reply, 'b', &b);
}

BUS_GETTER(property_get_uint64) {
        return sd_bus_message_append_basic(reply, 't', userdata);
}

BUS_GETTER(property_get_labels) {
        json_t **labels = userdata;

        return labels_append(reply, *labels);
}

int labels_append(sd_bus_message *m, json_t *labels) {
        const char *key;
        json_t *value;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        json_object_foreach(labels, key, value) {
                r = sd_bus_message_append(m, "{ss}", key, strempty(json_string_value(value)));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

int labels_append_entry(sd_bus_message *m, json_t *labels) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = labels_append(m, labels);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int strings_reply(sd_bus_message *m, json_t *strings) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *string;
        size_t i;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        json_array_foreach(strings, i, string)
                if (r >= 0)
                        r = sd_bus_message_append_basic(reply, 's', json_string_value(string));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
