/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* volume ...: directories that outlive the containers that mount them. import and export are in
 * verb-archive.c. */

#include "ctl/arguments.h"
#include "ctl/batch.h"
#include "ctl/listing.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

int verb_volume_ls(Client *c, char **args, Error *e) {
        return listing_verb_used(c, "ListVolumes", e);
}

int verb_volume_create(Client *c, char **args, Error *e) {
        _cleanup_json_ json_t *name = NULL;

        if (client_connect(c, e) != 0 ||
            named_call(c, "CreateVolume", "volume", strempty(args[0]), KEY_LABELS, &name, e) != 0)
                return EXIT_FAILURE;
        puts(strempty(json_string_value(name)));
        return EXIT_SUCCESS;
}

int verb_volume_inspect(Client *c, char **args, Error *e) {
        return named_inspect(c, "StatVolume", "volume", args, e);
}

/* A row of the list. Counting a large one takes its time. */
static int add_volume_usage(Client *c, const char *name, json_t *rows, Error *e) {
        Arguments arguments = {.client = c, .texts = {name}};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "VolumeUsage",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "volume",
                           .name = name,
                           .timeout = UINT64_MAX};

        return listing_add_usage(c, &call, name, rows, e);
}

int verb_volume_usage(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"NAME", "Name", NULL, COLUMN_SHORTEN},
                        {"SIZE", "Bytes", cell_bytes, COLUMN_RIGHT},
                        {"INODES", "Inodes", NULL, COLUMN_RIGHT},
        };
        _cleanup_json_ json_t *rows = json_array();

        if (!rows || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (; *args; args++)
                if (add_volume_usage(c, *args, rows, e) != 0)
                        return EXIT_FAILURE;
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Name", e);
}

int verb_volume_rm(Client *c, char **args, Error *e) {
        return batch_methods(c, "volume rm", "RemoveVolume", 0, args, e);
}
