/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* snapshot ...: the trees that root file systems are made of, for whoever wants to use them without
 * a container. */

#include "ctl/arguments.h"
#include "ctl/batch.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

int verb_snapshot_ls(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"NAMESPACE", "Namespace", NULL, COLUMN_SHORTEN},
                        {"KEY", "Name", NULL, COLUMN_SHORTEN},
                        {"PARENT", "Parent", NULL, COLUMN_SHORTEN},
                        {"KIND", "Kind", NULL, 0},
                        {"SNAPSHOTTER", "Snapshotter", NULL, COLUMN_SHORTEN},
                        {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
        };

        return listing_verb(c,
                            &(NamedListing){.member = "ListSnapshots",
                                            .name = "Name",
                                            .columns = columns,
                                            .n_columns = ELEMENTSOF(columns),
                                            .keys = KEY_FILTERS | KEY_ALL_NAMESPACES |
                                                    KEY_SNAPSHOTTER},
                            e);
}

/* Sends a call and reads all of its reply as one value. */
static int call_for_json(Client *c, const char *member, Arguments *arguments, json_t **ret,
                         Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = arguments,
                           .timeout = UINT64_MAX};
        sd_bus_message *reply = NULL;
        int r;

        arguments->client = c;
        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return e->code;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the answer to %s: %m", member) : 0;
}

/* A word for a shell. What comes from outside holds no surprise between single quotes. */
static int print_word(const char *s) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "_./:=,@+-";

        if (*s && strspn(s, plain) == strlen(s))
                return fputs(s, stdout);
        putchar('\'');
        for (; *s; s++)
                if (*s == '\'')
                        fputs("'\\''", stdout);
                else
                        putchar(*s);
        return putchar('\'');
}

/* As commands for a shell: mount(8) has the options that the service gives. */
static void print_mounts(const json_t *mounts, const char *directory) {
        const json_t *mount, *option;
        size_t i, k;

        json_array_foreach(mounts, i, mount) {
                const json_t *options = json_array_get(mount, 2);

                fputs("mount -t ", stdout);
                print_word(strempty(json_string_value(json_array_get(mount, 0))));
                json_array_foreach(options, k, option) {
                        fputs(" -o ", stdout);
                        print_word(strempty(json_string_value(option)));
                }
                fputs(" -- ", stdout);
                print_word(strempty(json_string_value(json_array_get(mount, 1))));
                putchar(' ');
                print_word(directory);
                putchar('\n');
        }
}

static int show_mounts(Client *c, const char *member, Arguments *arguments, const char *directory,
                       Error *e) {
        _cleanup_json_ json_t *mounts = NULL;

        if (call_for_json(c, member, arguments, &mounts, e) != 0)
                return EXIT_FAILURE;
        if (c->options->json == JSON_MODE_OFF && directory)
                print_mounts(mounts, directory);
        else if (c->options->json != JSON_MODE_OFF && print_json(mounts, c->options->json) < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

static int make(Client *c, const char *member, char **args, Error *e) {
        Arguments arguments = {.texts = {args[0], strempty(args[1])},
                               .keys = KEY_SNAPSHOTTER | KEY_LABELS | KEY_LEASE};

        return show_mounts(c, member, &arguments, NULL, e);
}

int verb_snapshot_prepare(Client *c, char **args, Error *e) {
        return make(c, "PrepareSnapshot", args, e);
}

int verb_snapshot_view(Client *c, char **args, Error *e) {
        return make(c, "ViewSnapshot", args, e);
}

int verb_snapshot_mounts(Client *c, char **args, Error *e) {
        Arguments arguments = {.texts = {args[0]}, .keys = KEY_SNAPSHOTTER};

        return show_mounts(c, "SnapshotMounts", &arguments, args[1] ?: "/mnt", e);
}

int verb_snapshot_commit(Client *c, char **args, Error *e) {
        Arguments arguments = {.client = c,
                               .texts = {args[0], args[1]},
                               .keys = KEY_SNAPSHOTTER | KEY_LABELS | KEY_LEASE};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "CommitSnapshot",
                           .append = append_arguments,
                           .userdata = &arguments};

        if (client_connect(c, e) != 0 || client_call(c, &call, NULL, e) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

int verb_snapshot_rm(Client *c, char **args, Error *e) {
        return batch_methods(c, "snapshot rm", "RemoveSnapshot", KEY_SNAPSHOTTER, args, e);
}

int verb_snapshot_label(Client *c, char **args, Error *e) {
        return labels_verb(c, "SetSnapshotLabels", KEY_SNAPSHOTTER, args, e);
}

int verb_snapshot_info(Client *c, char **args, Error *e) {
        Arguments arguments = {.texts = {args[0]}, .keys = KEY_SNAPSHOTTER};
        _cleanup_json_ json_t *info = NULL;

        if (call_for_json(c, "StatSnapshot", &arguments, &info, e) != 0)
                return EXIT_FAILURE;
        if (print_json(info, c->options->json) < 0) {
                (void) error_setf(e, -EIO, "Failed to write to standard output");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

int verb_snapshot_usage(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"KEY", "Name", NULL, COLUMN_SHORTEN},
                        {"SIZE", "Bytes", cell_bytes, COLUMN_RIGHT},
                        {"INODES", "Inodes", NULL, COLUMN_RIGHT},
        };
        _cleanup_json_ json_t *rows = json_array();

        if (!rows || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (; *args; args++) {
                Arguments arguments = {.client = c, .texts = {*args}, .keys = KEY_SNAPSHOTTER};
                const Call call = {.interface = INTERFACE_MANAGER,
                                   .member = "SnapshotUsage",
                                   .append = append_arguments,
                                   .userdata = &arguments,
                                   .timeout = UINT64_MAX};

                if (listing_add_usage(c, &call, *args, rows, e) != 0)
                        return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Name", e);
}
