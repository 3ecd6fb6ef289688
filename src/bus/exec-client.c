/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/exec-client.h"

#include "basic/log.h"
#include "basic/strv.h"
#include "manager/exec.h"

#define BUS_ID_SIZE (2 * sizeof(sd_id128_t) + 1)

static int read_bus_id(Service *s, char ret[static BUS_ID_SIZE]) {
        sd_id128_t id;
        int r;

        r = sd_bus_get_bus_id(s->bus, &id);
        if (r >= 0)
                (void) sd_id128_to_string(id, ret);
        return r;
}

int exec_client_name(Service *s, sd_bus_message *m, char **ret) {
        const char *sender = sd_bus_message_get_sender(m);
        char id[BUS_ID_SIZE];
        int r;

        *ret = NULL;
        if (!sender)
                return 0;
        r = read_bus_id(s, id);
        if (r < 0)
                return r;
        return asprintf(ret, "%s%s", id, sender) < 0 ? -ENOMEM : 0;
}

static bool is_client(const char *client, void *userdata) {
        return streq(client, userdata);
}

void exec_client_left(Service *s, const char *unique) {
        _cleanup_free_ char *name = NULL;
        char id[BUS_ID_SIZE];
        int r;

        r = read_bus_id(s, id);
        if (r >= 0 && asprintf(&name, "%s%s", id, unique) < 0)
                r = -ENOMEM;
        if (r < 0) {
                log_warning_errno(r, "Failed to look for execs of %s, which left the bus: %m",
                                  unique);
                return;
        }
        execs_forget_clients(s->manager, is_client, name);
}

typedef struct Connections {
        const char *bus_id;
        char **names; /* unique and other ones */
} Connections;

static bool is_none_of(const char *client, void *userdata) {
        const Connections *c = userdata;
        const char *unique = startswith(client, c->bus_id);

        STRV_FOREACH(name, c->names)
                if (streq_ptr(unique, *name))
                        return false;
        return true;
}

static int on_names(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        _cleanup_strv_free_ char **names = NULL;
        Service *s = userdata;
        char id[BUS_ID_SIZE];
        int r;

        if (failure) {
                log_warning("Cannot ask the bus whose execs are left behind: %s", failure->message);
                return 0;
        }
        r = sd_bus_message_read_strv(reply, &names);
        if (r >= 0)
                r = read_bus_id(s, id);
        if (r < 0) {
                log_warning_errno(r, "Failed to read the names of connections: %m");
                return 0;
        }
        execs_forget_clients(s->manager, is_none_of, &(Connections){.bus_id = id, .names = names});
        return 0;
}

int exec_clients_ask(Service *s) {
        return sd_bus_call_method_async(s->bus, service_slot(s), "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "ListNames", on_names, s, NULL);
}
