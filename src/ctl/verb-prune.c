/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* prune, container prune, volume prune and system prune: what nobody uses goes. */

#include "basic/json.h"
#include "ctl/listing.h"
#include "ctl/prune.h"
#include "ctl/verbs.h"

#define CONTAINERS "containers that do not run"
#define ANONYMOUS  "anonymous volumes that no container names"
#define IMAGES     "images that no container was made from"
#define UNTAGGED   "images without a tag that no container was made from"

/* One kind of thing. What went is told even if it is not all. */
static int run(Client *c, const char *what, int (*prune)(Client *c, json_t *names, Error *e),
               Error *e) {
        _cleanup_json_ json_t *names = json_array();
        int r;

        if (!names) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        if (prune_confirm(c->options, what, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        r = prune(c, names, e);
        if (r == 0 || json_array_size(names) > 0)
                r = prune_show(c->options, names, e) != 0 ? -1 : r;
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int verb_prune(Client *c, char **args, Error *e) {
        return run(c, c->options->all ? IMAGES : UNTAGGED, prune_images, e);
}

int verb_container_prune(Client *c, char **args, Error *e) {
        return run(c, CONTAINERS, prune_containers, e);
}

static int prune_volumes_as_told(Client *c, json_t *names, Error *e) {
        return prune_volumes(c, c->options->all, names, e);
}

int verb_volume_prune(Client *c, char **args, Error *e) {
        return run(c, c->options->all ? "volumes that no container names" : ANONYMOUS,
                   prune_volumes_as_told, e);
}

static int prune_anonymous_volumes(Client *c, json_t *names, Error *e) {
        return c->options->volumes ? prune_volumes(c, false, names, e) : 0;
}

/* Containers hold volumes and images, so they come first. */
static int prune_all(Client *c, json_t *rows, Error *e) {
        static const struct {
                const char *kind;
                int (*prune)(Client *c, json_t *names, Error *e);
        } kinds[] = {
                        {"container", prune_containers},
                        {"volume", prune_anonymous_volumes},
                        {"image", prune_images},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(kinds); i++) {
                _cleanup_json_ json_t *names = json_array();
                json_t *name;
                size_t k;

                if (!names)
                        return error_setf(e, -ENOMEM, "Out of memory");
                r = kinds[i].prune(c, names, e);
                json_array_foreach(names, k, name)
                        if (json_array_append_new(rows, json_pack("{s:s, s:O}", "Kind",
                                                                  kinds[i].kind, "Name", name)) < 0)
                                return error_setf(e, -ENOMEM, "Out of memory");
        }
        return r;
}

int verb_system_prune(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"KIND", "Kind", NULL, 0},
                        {"NAME", "Name", NULL, COLUMN_SHORTEN},
        };
        const char *what = c->options->volumes ? c->options->all ? CONTAINERS ", " ANONYMOUS
                                                                              " and " IMAGES
                                                                 : CONTAINERS ", " ANONYMOUS
                                                                              " and " UNTAGGED
                           : c->options->all   ? CONTAINERS " and " IMAGES
                                               : CONTAINERS " and " UNTAGGED;
        _cleanup_json_ json_t *rows = json_array();
        int r;

        if (!rows) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        if (prune_confirm(c->options, what, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        r = prune_all(c, rows, e);
        if (r == 0 || json_array_size(rows) > 0)
                r = listing_show(c, columns, ELEMENTSOF(columns), rows, "Name", e) != EXIT_SUCCESS
                                    ? -1
                                    : r;
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
