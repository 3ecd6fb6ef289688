/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* search: names of images, as registries know them. */

#include "ctl/auth-file.h"
#include "ctl/bus-json.h"
#include "ctl/container-keys.h"
#include "ctl/credentials.h"
#include "ctl/listing.h"
#include "ctl/verbs.h"

#define LIMIT_MAX 1000

typedef struct Search {
        const Client *client;
        const char *term;
        int credentials_fd; /* -1: none */
} Search;

static int append_search(sd_bus_message *m, void *userdata) {
        const Search *s = userdata;
        const OptionalU64 *limit = &s->client->options->lines;
        int r;

        r = sd_bus_message_append_basic(m, 's', s->term);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_namespace(m, s->client);
        if (r >= 0 && limit->set)
                r = sd_bus_message_append(m, "{sv}", "Limit", "u", (uint32_t) limit->value);
        if (r >= 0)
                r = message_append_credentials(m, s->credentials_fd);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The user's credentials are for one registry, so the term has to name it. */
static int open_credentials(Search *s, Error *e) {
        const RegistryOptions *o = &s->client->options->registry;

        if (name_has_host(s->term))
                return credentials_open(s->client->options, s->term, &s->credentials_fd, e);
        if (o->credentials || o->credentials_stdin || o->authfile)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "credentials are for one registry: the term must begin with its "
                                  "host, as in HOST/TERM");
        return 0;
}

static char *cell_official(const json_t *row, const char *key) {
        return strdup(json_is_true(json_object_get(row, key)) ? "yes" : "");
}

int verb_search(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"NAME", "Name", NULL, COLUMN_SHORTEN},
                        {"DESCRIPTION", "Description", NULL, COLUMN_SHORTEN},
                        {"STARS", "Stars", NULL, COLUMN_RIGHT},
                        {"OFFICIAL", "Official", cell_official, 0},
        };
        Search search = {.client = c, .term = args[0], .credentials_fd = -1};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "SearchImages",
                           .append = append_search,
                           .userdata = &search,
                           .timeout = UINT64_MAX};
        const OptionalU64 *limit = &c->options->lines;
        _cleanup_json_ json_t *rows = NULL;
        sd_bus_message *reply = NULL;
        int r;

        if (limit->set && (limit->value == 0 || limit->value > LIMIT_MAX)) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "--limit= needs a number from 1 to %i",
                                  LIMIT_MAX);
                return EXIT_FAILURE;
        }
        r = open_credentials(&search, e);
        if (r == 0)
                r = client_connect(c, e);
        if (r == 0)
                r = client_call(c, &call, &reply, e);
        if (search.credentials_fd >= 0)
                (void) close(search.credentials_fd);
        if (r != 0)
                return EXIT_FAILURE;
        r = bus_message_read_named(reply, "Name", &rows);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to read what was found: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Name", e);
}
