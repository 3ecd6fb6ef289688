/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/prune.h"

#include "ctl/bus-json.h"
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

int prune_run(Client *c, const Call *call, Error *e) {
        sd_bus_message *reply = NULL;
        int r;

        if (client_connect(c, e) != 0 || client_call(c, call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = print_names(reply, c->options, e);
        sd_bus_message_unref(reply);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
