/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/json.h"
#include "config.h"
#include "ctl/bus-json.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

static int append_version_property(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_MANAGER, "Version");
}

static int get_service_version(Client *c, char **ret, Error *e) {
        const Call call = {.interface = INTERFACE_PROPERTIES,
                           .member = "Get",
                           .append = append_version_property};
        sd_bus_message *reply = NULL;
        const char *version;
        int r;

        r = client_connect(c, e);
        if (r == 0)
                r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &version);
        if (r >= 0 && !(*ret = strdup(version)))
                r = -ENOMEM;
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the version: %m") : 0;
}

int verb_version(Client *c, char **args, Error *e) {
        _cleanup_free_ char *service = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = get_service_version(c, &service, e);
        if (c->options->json != JSON_MODE_OFF) {
                j = json_pack("{s:s, s:s*}", "Client", CTR_VERSION, "Service", service);
                if (j)
                        (void) print_json(j, c->options->json);
        } else {
                printf("Client: %s\n", CTR_VERSION);
                if (service)
                        printf("Service: %s\n", service);
        }
        return r != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
