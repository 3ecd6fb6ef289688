/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/listing.h"

#include "bus/error.h"

int listing_entry_open(const Listing *l, const char *name) {
        int r;

        r = sd_bus_message_open_container(l->reply, 'r', "sa{sv}");
        return r < 0 ? r : sd_bus_message_append_basic(l->reply, 's', name);
}

int listing_entry_close(const Listing *l) {
        return sd_bus_message_close_container(l->reply);
}

int listing_reply(sd_bus_message *m, Listing *l, ListingFill fill, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
        if (r < 0)
                return r;
        l->reply = reply;
        r = fill(l, &e);
        l->reply = NULL;
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int containers_append_entry(sd_bus_message *m, const json_t *names) {
        json_t *name;
        size_t i;
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "Containers");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        json_array_foreach(names, i, name)
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', json_string_value(name));
        for (int k = 0; r >= 0 && k < 3; k++)
                r = sd_bus_message_close_container(m);
        return r;
}
