/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/exit-history.h"

#include "ctl/bus-json.h"

#define DETAILS 4 /* of sequence number, time, topic, namespace, details */

/* Identifiers have no character that a quoted value would have to escape. */
static int make_filter(ExitHistory *h) {
        _cleanup_free_ char *namespace = NULL, *id = NULL, *exec_id = NULL;
        int r;

        r = sd_bus_path_decode_many(h->path, PATH_MANAGER "/task/%/%/exec/%", &namespace, &id,
                                    &exec_id);
        if (r == 0)
                r = sd_bus_path_decode_many(h->path, PATH_MANAGER "/task/%/%", &namespace, &id);
        if (r <= 0)
                return r < 0 ? r : -EINVAL;
        if (asprintf(&h->filter,
                     "topic==\"/tasks/exit\",event.ContainerId==\"%s\",event.Id==\"%s\"", id,
                     exec_id ?: id) < 0)
                return -ENOMEM;
        return 0;
}

static int append_query(sd_bus_message *m, void *userdata) {
        const ExitHistory *h = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_namespace(m, h->client);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Since", "t", h->since);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Filters", "as", 1, h->filter);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_listed(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_json_ json_t *events = NULL;
        ExitHistory *h = userdata;
        json_t *status = NULL;

        if (reply && bus_message_read_json(reply, &events) >= 0 && json_array_size(events) > 0) {
                json_t *last = json_array_get(events, json_array_size(events) - 1);

                status = json_object_get(json_array_get(last, DETAILS), "ExitStatus");
        }
        if (status)
                h->handler((unsigned) json_integer_value(status), NULL, h->userdata);
        else
                h->handler(0, &h->missing, h->userdata);
}

void exit_history_ask(ExitHistory *h) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ListEvents",
                           .append = append_query,
                           .userdata = h};

        if (h->filter || make_filter(h) < 0 ||
            client_request(h->client, &call, on_listed, h, NULL, NULL) != 0)
                h->handler(0, &h->missing, h->userdata);
}

void exit_history_clear(ExitHistory *h) {
        free(h->filter);
        h->filter = NULL;
        error_clear(&h->missing);
}
