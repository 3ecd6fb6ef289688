/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* pull, push and resolve: what goes to and from registries. */

#include "ctl/arguments.h"
#include "ctl/credentials.h"
#include "ctl/job.h"
#include "ctl/output.h"
#include "ctl/pull.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

/* With --json all that the job says, else one member if that is what people want to know. */
static int print_result(const Client *c, json_t *result, const char *key, Error *e) {
        const char *text = key ? json_string_value(json_object_get(result, key)) : NULL;
        _cleanup_free_ char *safe = NULL;

        if (c->options->json != JSON_MODE_OFF) {
                if (print_json(result, c->options->json) < 0)
                        return error_setf(e, -EIO, "Failed to write to standard output");
                return 0;
        }
        if (!text)
                return 0;
        safe = text_escape(text);
        if (!safe)
                return error_setf(e, -ENOMEM, "Out of memory");
        puts(safe);
        return 0;
}

int verb_pull(Client *c, char **args, Error *e) {
        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (; *args; args++) {
                _cleanup_json_ json_t *result = NULL;

                if (pull_image(c, *args, NULL, &result, e) != 0 ||
                    print_result(c, result, NULL, e) != 0)
                        return job_failure_status(e);
        }
        return EXIT_SUCCESS;
}

int verb_push(Client *c, char **args, Error *e) {
        _cleanup_close_ int credentials_fd = -1;
        _cleanup_json_ json_t *result = NULL;
        const char *target = args[1] ?: args[0];
        Arguments arguments = {.client = c,
                               .texts = {args[0]},
                               .keys = KEY_PLATFORM | KEY_ALL_PLATFORMS,
                               .text_key = "Target",
                               .text_value = args[1]};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "PushImage",
                           .append = append_arguments,
                           .userdata = &arguments};

        if (credentials_open(c->options, target, &credentials_fd, e) != 0 ||
            client_connect(c, e) != 0)
                return EXIT_FAILURE;
        arguments.credentials_fd = credentials_fd;
        if (!c->options->quiet)
                fprintf(stderr, "Pushing %s\n", target);
        if (job_run(c, &call, "push", &result, e) != 0 || print_result(c, result, "Digest", e) != 0)
                return job_failure_status(e);
        return EXIT_SUCCESS;
}

/* A registry may take its time: no limit of ours, the service has one. */
int verb_resolve(Client *c, char **args, Error *e) {
        _cleanup_close_ int credentials_fd = -1;
        Arguments arguments = {.client = c, .texts = {args[0]}};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ResolveRemoteDigest",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .timeout = UINT64_MAX};
        sd_bus_message *reply = NULL;
        const char *digest;
        int r;

        if (credentials_open(c->options, args[0], &credentials_fd, e) != 0 ||
            client_connect(c, e) != 0)
                return EXIT_FAILURE;
        arguments.credentials_fd = credentials_fd;
        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return EXIT_FAILURE;
        r = sd_bus_message_read(reply, "s", &digest);
        if (r >= 0)
                puts(digest);
        sd_bus_message_unref(reply);
        if (r < 0)
                (void) error_setf(e, r, "Failed to read the digest: %m");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
