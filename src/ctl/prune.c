/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/prune.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"

int prune_confirm(const Options *o, const char *what, Error *e) {
        char answer[16];

        if (o->force)
                return 0;
        if (!isatty(STDIN_FILENO))
                return error_setf(e, CTR_INVALID_ARGUMENT, "there is nobody to ask: use --force");
        fprintf(stderr, "Remove all %s%s? [y/N] ", what,
                o->filters || o->until.set ? ", as selected" : "");
        if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
                return 0;
        return error_setf(e, CTR_CANCELED, "Nothing was removed");
}

/* Makes the call and appends the names (as) that it answers. */
static int call_for_names(Client *c, const char *member,
                          int (*append)(sd_bus_message *m, void *userdata), void *userdata,
                          json_t *names, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append,
                           .userdata = userdata,
                           .timeout = UINT64_MAX};
        _cleanup_json_ json_t *some = NULL;
        sd_bus_message *reply = NULL;
        int r;

        if (client_call(c, &call, &reply, e) != 0)
                return e->code;
        r = bus_message_read_json(reply, &some);
        sd_bus_message_unref(reply);
        if (r < 0)
                return error_setf(e, r, "Failed to read what was removed: %m");
        if (json_array_extend(names, some) < 0)
                return error_setf(e, -ENOMEM, "Out of memory");
        return 0;
}

typedef struct Selection {
        const Client *client;
        uint64_t before;
} Selection;

static int append_containers(sd_bus_message *m, void *userdata) {
        const Selection *s = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_selection(m, s->client);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Before", "t", s->before);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int prune_containers(Client *c, json_t *names, Error *e) {
        const OptionalU64 *until = &c->options->until;
        Selection selection = {c, until->set ? until->value : now_realtime()};
        size_t n;
        int r;

        /* a call is about some of them */
        do {
                n = json_array_size(names);
                r = call_for_names(c, "PruneContainers", append_containers, &selection, names, e);
        } while (r == 0 && json_array_size(names) > n);
        return r;
}

int prune_volumes(Client *c, bool named, json_t *names, Error *e) {
        Arguments arguments = {.client = c,
                               .keys = KEY_BEFORE | KEY_FILTERS,
                               .flag = named ? "All" : NULL};

        return call_for_names(c, "PruneVolumes", append_arguments, &arguments, names, e);
}

/* A normalised name without a tag: what is known by its digest alone. */
#define UNTAGGED "name~=\"/[^/:@]*@\""

static int image_filters(const Options *o, char ***ret) {
        int r = 0;

        if (!o->filters && !o->all)
                r = strv_extend(ret, UNTAGGED);
        STRV_FOREACH(filter, o->filters) {
                if (r < 0)
                        return r;
                r = o->all ? strv_extend(ret, *filter)
                           : strv_extendf(ret, "%s%s" UNTAGGED, *filter, **filter ? "," : "");
        }
        return r;
}

int prune_images(Client *c, json_t *names, Error *e) {
        _cleanup_strv_free_ char **filters = NULL;
        Arguments arguments = {.client = c, .keys = KEY_BEFORE, .flag = "Synchronous"};

        if (image_filters(c->options, &filters) < 0)
                return error_setf(e, -ENOMEM, "Out of memory");
        arguments.filters = filters;
        return call_for_names(c, "PruneImages", append_arguments, &arguments, names, e);
}

int prune_show(const Options *o, json_t *names, Error *e) {
        json_t *name;
        size_t i;

        if (o->json != JSON_MODE_OFF)
                return print_json(names, o->json) < 0
                                       ? error_setf(e, -EIO, "Failed to write to standard output")
                                       : 0;
        json_array_foreach(names, i, name) {
                _cleanup_free_ char *text = text_escape(strempty(json_string_value(name)));

                if (!text)
                        return error_setf(e, -ENOMEM, "Out of memory");
                puts(text);
        }
        return 0;
}
