/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* tag, untag and prune: names of images, and those that nobody needs. */

#include "basic/strv.h"
#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

int verb_tag(Client *c, char **args, Error *e) {
        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (char **name = args + 1; *name; name++) {
                Arguments arguments = {.client = c, .texts = {args[0], *name}};
                const Call call = {.interface = INTERFACE_MANAGER,
                                   .member = "TagImage",
                                   .append = append_arguments,
                                   .userdata = &arguments};

                if (client_call(c, &call, NULL, e) != 0)
                        return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

/* A normalised name without a tag: what is known by its digest alone. */
#define UNTAGGED "name~=\"/[^/:@]*@\""

/* Without --all only what has no tag, of what the user selects. */
static int prune_filters(const Options *o, char ***ret) {
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

static int confirm(const Options *o, Error *e) {
        char answer[16];

        if (o->force)
                return 0;
        if (!isatty(STDIN_FILENO))
                return error_setf(e, CTR_INVALID_ARGUMENT, "there is nobody to ask: use --force");
        fprintf(stderr, "Remove all images%s that no container was made from%s? [y/N] ",
                o->all ? "" : " without a tag", o->filters || o->until.set ? ", as selected" : "");
        if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
                return 0;
        return error_setf(e, CTR_CANCELED, "Nothing was removed");
}

static int print_names(sd_bus_message *reply, const Options *o, Error *e) {
        _cleanup_json_ json_t *names = NULL;
        json_t *name;
        size_t i;
        int r;

        r = bus_message_read_json(reply, &names);
        if (r < 0)
                return error_setf(e, r, "Failed to read what was removed: %m");
        if (o->json != JSON_MODE_OFF) {
                if (print_json(names, o->json) < 0)
                        return error_setf(e, -EIO, "Failed to write to standard output");
                return 0;
        }
        json_array_foreach(names, i, name) {
                _cleanup_free_ char *text = text_escape(strempty(json_string_value(name)));

                if (!text)
                        return error_setf(e, -ENOMEM, "Out of memory");
                puts(text);
        }
        return 0;
}

int verb_prune(Client *c, char **args, Error *e) {
        _cleanup_strv_free_ char **filters = NULL;
        Arguments arguments = {.client = c, .keys = KEY_BEFORE, .flag = "Synchronous"};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "PruneImages",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .timeout = UINT64_MAX};
        sd_bus_message *reply = NULL;
        int r;

        if (prune_filters(c->options, &filters) < 0) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        arguments.filters = filters;
        if (confirm(c->options, e) != 0 || client_connect(c, e) != 0 ||
            client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = print_names(reply, c->options, e);
        sd_bus_message_unref(reply);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
