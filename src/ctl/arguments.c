/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/arguments.h"

#include "basic/strv.h"
#include "ctl/container-keys.h"
#include "ctl/credentials.h"

typedef enum Type {
        TYPE_TEXT,
        TYPE_LIST,
        TYPE_FLAG,   /* b true if given */
        TYPE_NEGATE, /* b false if given */
        TYPE_LABELS,
        TYPE_BOOLEAN,
        TYPE_NUMBER,
} Type;

static const struct {
        ArgumentKeys key;
        const char *name;
        Type type;
        size_t offset;
} keys[] = {
#define K(k, n, t, f)                                                                              \
        { k, n, t, offsetof(Options, f) }
                K(KEY_POLICY, "Policy", TYPE_TEXT, image.policy),
                K(KEY_PLATFORM, "Platform", TYPE_TEXT, image.platform),
                K(KEY_ALL_PLATFORMS, "AllPlatforms", TYPE_FLAG, image.all_platforms),
                K(KEY_UNPACK, "Unpack", TYPE_NEGATE, image.no_unpack),
                K(KEY_KEEP_LAYERS, "KeepLayers", TYPE_NEGATE, image.discard_layers),
                K(KEY_LABELS, "Labels", TYPE_LABELS, image.labels),
                K(KEY_SNAPSHOTTER, "Snapshotter", TYPE_TEXT, image.snapshotter),
                K(KEY_LEASE, "Lease", TYPE_TEXT, image.lease),
                K(KEY_FORMAT, "Format", TYPE_TEXT, image.format),
                K(KEY_QUARANTINE, "Quarantine", TYPE_FLAG, image.quarantine),
                K(KEY_NAME, "Name", TYPE_TEXT, image.name),
                K(KEY_PAUSE, "Pause", TYPE_BOOLEAN, image.pause),
                K(KEY_AUTHOR, "Author", TYPE_TEXT, image.author),
                K(KEY_COMMENT, "Comment", TYPE_TEXT, image.message),
                K(KEY_CHANGES, "Changes", TYPE_LIST, image.changes),
                K(KEY_EXPIRES, "Expires", TYPE_NUMBER, image.expires),
                K(KEY_BEFORE, "Before", TYPE_NUMBER, until),
                K(KEY_FILTERS, "Filters", TYPE_LIST, filters),
                K(KEY_ALL_NAMESPACES, "AllNamespaces", TYPE_FLAG, all_namespaces),
                K(KEY_FOLLOW_LINK, "FollowLink", TYPE_FLAG, follow),
                K(KEY_STOP_TIMEOUT, "StopTimeoutUSec", TYPE_NUMBER, timeout),
                K(KEY_START, "Start", TYPE_BOOLEAN, image.start),
#undef K
};

int message_append_labels(sd_bus_message *m, char *const *labels) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        STRV_FOREACH(label, labels) {
                size_t n = strcspn(*label, "=");
                _cleanup_free_ char *key = NULL;

                if (r < 0)
                        return r;
                key = strndup(*label, n);
                if (!key)
                        return -ENOMEM;
                r = sd_bus_message_append(m, "{ss}", key, (*label)[n] ? *label + n + 1 : "");
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int message_append_labels_key(sd_bus_message *m, const char *name, char *const *labels) {
        int r;

        if (!labels)
                return 0;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = message_append_labels(m, labels);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_key(sd_bus_message *m, const char *name, Type type, const void *field) {
        const OptionalU64 *number = field;
        const char *text;

        switch (type) {
        case TYPE_TEXT:
                text = *(char *const *) field;
                return text ? sd_bus_message_append(m, "{sv}", name, "s", text) : 0;
        case TYPE_LIST:
                return *(char **const *) field
                                       ? message_append_list(m, name, *(char **const *) field)
                                       : 0;
        case TYPE_FLAG:
        case TYPE_NEGATE:
                return *(const bool *) field ? sd_bus_message_append(m, "{sv}", name, "b",
                                                                     type == TYPE_FLAG)
                                             : 0;
        case TYPE_LABELS:
                return message_append_labels_key(m, name, *(char **const *) field);
        case TYPE_BOOLEAN:
                return number->set ? sd_bus_message_append(m, "{sv}", name, "b",
                                                           (int) number->value)
                                   : 0;
        case TYPE_NUMBER:
                return number->set ? sd_bus_message_append(m, "{sv}", name, "t", number->value) : 0;
        }
        return -EINVAL;
}

static int append_options(sd_bus_message *m, const Arguments *a) {
        const Options *o = a->client->options;
        int r;

        r = a->on_object ? 0 : message_append_namespace(m, a->client);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++)
                if ((a->keys & keys[i].key) && !(keys[i].key == KEY_POLICY && a->policy))
                        r = append_key(m, keys[i].name, keys[i].type,
                                       (const char *) o + keys[i].offset);
        if (r >= 0 && a->policy)
                r = sd_bus_message_append(m, "{sv}", "Policy", "s", a->policy);
        if (r >= 0 && a->filters)
                r = message_append_list(m, "Filters", a->filters);
        if (r >= 0 && a->credentials_fd > 0)
                r = message_append_credentials(m, a->credentials_fd);
        if (r >= 0 && a->flag)
                r = sd_bus_message_append(m, "{sv}", a->flag, "b", true);
        if (r >= 0 && a->text_value)
                r = sd_bus_message_append(m, "{sv}", a->text_key, "s", a->text_value);
        return r;
}

int append_arguments(sd_bus_message *m, void *userdata) {
        const Arguments *a = userdata;
        int r = 0;

        if (a->list)
                r = sd_bus_message_append_strv(m, (char **) a->list);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(a->texts) && a->texts[i]; i++)
                r = sd_bus_message_append(m, "s", a->texts[i]);
        if (r >= 0 && a->number)
                r = sd_bus_message_append(m, "u", *a->number);
        if (r >= 0 && a->has_labels)
                r = message_append_labels(m, a->labels);
        if (r >= 0 && a->fd)
                r = sd_bus_message_append(m, "h", *a->fd);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_options(m, a);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int labels_from_arguments(char *const *args, char ***ret, Error *e) {
        _cleanup_strv_free_ char **labels = NULL;

        STRV_FOREACH(arg, args) {
                int r = parse_label(*arg, &labels, e);

                if (r != 0)
                        return r < 0 ? error_setf(e, r, "Out of memory") : r;
        }
        *ret = TAKE_PTR(labels);
        return 0;
}

int labels_verb(Client *c, const char *member, unsigned which, char *const *args, Error *e) {
        _cleanup_strv_free_ char **labels = NULL;
        Arguments arguments = {.client = c, .texts = {args[0]}, .has_labels = true, .keys = which};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = &arguments};

        if (labels_from_arguments(args + 1, &labels, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        arguments.labels = labels;
        return client_call(c, &call, NULL, e) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
