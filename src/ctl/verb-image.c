/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* images and rmi. */

#include "ctl/batch.h"
#include "ctl/listing.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define DIGEST_SHOWN 12

/* Where the tag or the digest of a normalised reference begins: after the last ':' that is behind
 * the last '/' (one before it belongs to the port), or at '@'. The end of the string if it has
 * none.
 */
static size_t repository_length(const char *name) {
        const char *slash = strrchr(name, '/'), *at = strchr(name, '@'), *colon;

        if (at)
                return (size_t) (at - name);
        colon = strrchr(slash ? slash : name, ':');
        return colon ? (size_t) (colon - name) : strlen(name);
}

static char *cell_repository(const json_t *row, const char *key) {
        const char *name = strempty(json_string_value(json_object_get(row, key)));
        _cleanup_free_ char *repository = strndup(name, repository_length(name));

        return repository ? text_escape(repository) : NULL;
}

static char *cell_tag(const json_t *row, const char *key) {
        const char *name = strempty(json_string_value(json_object_get(row, key)));
        const char *tag = name + repository_length(name);

        return *tag == ':' ? text_escape(tag + 1) : strdup("-");
}

static char *cell_digest(const json_t *row, const char *key) {
        const char *digest = strempty(json_string_value(json_object_get(row, key)));
        const char *hex = strchr(digest, ':');
        _cleanup_free_ char *shown = strndup(hex ? hex + 1 : digest, DIGEST_SHOWN);

        return shown ? text_escape(shown) : NULL;
}

static char *cell_full_digest(const json_t *row, const char *key) {
        return text_escape(strempty(json_string_value(json_object_get(row, key))));
}

static const Column columns[] = {
                {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                {"REPOSITORY", "Name", cell_repository, COLUMN_SHORTEN},
                {"TAG", "Name", cell_tag, COLUMN_SHORTEN},
                {"DIGEST", "Digest", cell_digest, 0},
                {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
                {"SIZE", "Size", cell_bytes, COLUMN_RIGHT},
};

int verb_images(Client *c, char **args, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ListImages",
                           .append = append_selection,
                           .userdata = c};
        _cleanup_json_ json_t *rows = NULL;
        size_t skip = c->options->all_namespaces ? 0 : 1;
        Column shown[ELEMENTSOF(columns)];
        sd_bus_message *reply = NULL;
        int r;

        r = client_connect(c, e);
        if (r == 0)
                r = client_call(c, &call, &reply, e);
        if (r == 0)
                r = listing_from_reply(reply, "Name", &rows, e);
        sd_bus_message_unref(reply);
        if (r != 0)
                return EXIT_FAILURE;
        memcpy(shown, columns, sizeof(columns));
        for (size_t i = 0; c->options->full && i < ELEMENTSOF(shown); i++)
                if (shown[i].format == cell_digest)
                        shown[i].format = cell_full_digest;
        return listing_show(c, shown + skip, ELEMENTSOF(shown) - skip, rows, "Name", e);
}

int verb_rmi(Client *c, char **args, Error *e) {
        return batch_methods(c, "rmi", "DeleteImage", 0, args, e);
}
