/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* commit and diff: what a container has changed of its image's files. */

#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/job.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

int verb_commit(Client *c, char **args, Error *e) {
        _cleanup_free_ char *path = client_object_path(c, "container", args[0]);
        Arguments arguments = {.client = c,
                               .texts = {args[1]},
                               .on_object = true,
                               .keys = KEY_PAUSE | KEY_AUTHOR | KEY_COMMENT | KEY_CHANGES |
                                       KEY_UNPACK | KEY_LEASE};
        const Call call = {.path = path,
                           .interface = INTERFACE_CONTAINER,
                           .member = "Commit",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "container",
                           .name = args[0]};
        _cleanup_json_ json_t *result = NULL;
        const char *digest;

        if (!path) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        if (job_run(c, &call, "commit", &result, e) != 0)
                return job_failure_status(e);
        digest = json_string_value(json_object_get(result, "Digest"));
        if (c->options->json == JSON_MODE_OFF)
                puts(digest ?: args[1]);
        else if (print_json(result, c->options->json) < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

static int print_changes(const json_t *changes) {
        const json_t *change;
        size_t i;

        json_array_foreach(changes, i, change) {
                _cleanup_free_ char *path =
                                text_escape(strempty(json_string_value(json_array_get(change, 1))));

                if (!path)
                        return -ENOMEM;
                printf("%.1s %s\n", strempty(json_string_value(json_array_get(change, 0))), path);
        }
        return 0;
}

int verb_diff(Client *c, char **args, Error *e) {
        _cleanup_free_ char *path = client_object_path(c, "container", args[0]);
        Arguments arguments = {.client = c, .on_object = true};
        const Call call = {.path = path,
                           .interface = INTERFACE_CONTAINER,
                           .member = "Diff",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "container",
                           .name = args[0],
                           .timeout = UINT64_MAX};
        _cleanup_json_ json_t *changes = NULL;
        sd_bus_message *reply = NULL;
        Pager pager = PAGER_NULL;
        int r;

        if (!path) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = bus_message_read_json(reply, &changes);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to read the changes: %m");
                return EXIT_FAILURE;
        }
        pager_open(&pager, c->options);
        r = c->options->json == JSON_MODE_OFF ? print_changes(changes)
                                              : print_json(changes, c->options->json);
        if (pager_close(&pager) < 0 || r < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
