/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/container-lists.h"

#include "basic/strv.h"
#include "bus/container-values.h"

#define LISTED_MAX 1024U /* mounts, devices, rlimits: each costs work when the task starts */

/* Grows an array of items by one zeroed one. */
static int grow(OptionReader *o, void **items, size_t *n, size_t item_size) {
        void *grown;

        if (*n >= LISTED_MAX)
                return option_invalid(o, "more than %u items", LISTED_MAX);
        grown = reallocarray(*items, *n + 1, item_size);
        if (!grown)
                return -ENOMEM;
        memset((uint8_t *) grown + *n * item_size, 0, item_size);
        *items = grown;
        (*n)++;
        return 0;
}

/* An array of structs; read() fills the last one of items, which is zeroed. */
typedef struct ListType {
        const char *signature, *contents; /* of a struct, with and without the parentheses */
        size_t item_size;
        int (*read)(OptionReader *o, const void *items, size_t n, void *item);
} ListType;

static int read_list(OptionReader *o, const ListType *type, void **items, size_t *n) {
        int r;

        r = sd_bus_message_enter_container(o->message, 'a', type->signature);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(o->message, 'r', type->contents)) > 0) {
                r = grow(o, items, n, type->item_size);
                if (r < 0)
                        return r;
                r = type->read(o, *items, *n, (uint8_t *) *items + (*n - 1) * type->item_size);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(o->message);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(o->message);
}

/* The options of a mount as one string; "" without any. */
static int read_mount_options(OptionReader *o, char **ret) {
        _cleanup_strv_free_ char **options = NULL;
        _cleanup_free_ char *joined = NULL;
        size_t size = 1;
        char *end;
        int r;

        r = option_strv(o, &options);
        if (r < 0)
                return r;
        STRV_FOREACH(s, options) {
                if (isempty(*s) || strchr(*s, ','))
                        return option_invalid(o, "\"%.64s\" is not a mount option", *s);
                size += strlen(*s) + 1;
        }
        joined = calloc(1, size);
        if (!joined)
                return -ENOMEM;
        end = joined;
        STRV_FOREACH(s, options) {
                if (end > joined)
                        *end++ = ',';
                end = stpcpy(end, *s);
        }
        *ret = TAKE_PTR(joined);
        return 0;
}

static int read_mount(OptionReader *o, const void *items, size_t n, void *item) {
        ContainerMount *mount = item;
        int r;

        r = option_string_copy(o, &mount->source);
        if (r < 0)
                return r;
        r = option_string_copy(o, &mount->destination);
        if (r < 0)
                return r;
        r = option_string_copy(o, &mount->type);
        if (r < 0)
                return r;
        r = read_mount_options(o, &mount->options);
        return r < 0 ? r : container_check_mount(o, mount);
}

int option_mounts(OptionReader *o, void *target) {
        static const ListType type = {"(sssas)", "sssas", sizeof(ContainerMount), read_mount};
        ContainerRequest *request = target;

        return read_list(o, &type, (void **) &request->mounts, &request->n_mounts);
}

static int read_device(OptionReader *o, const void *items, size_t n, void *item) {
        ContainerDevice *device = item;
        int r;

        r = option_string_copy(o, &device->path);
        if (r < 0)
                return r;
        r = option_string_copy(o, &device->access);
        return r < 0 ? r : container_check_device(o, device);
}

int option_devices(OptionReader *o, void *target) {
        static const ListType type = {"(ss)", "ss", sizeof(ContainerDevice), read_device};
        ContainerRequest *request = target;

        return read_list(o, &type, (void **) &request->devices, &request->n_devices);
}

static int read_rlimit(OptionReader *o, const void *items, size_t n, void *item) {
        ContainerRlimit *limit = item;
        int r;

        r = option_string_copy(o, &limit->name);
        if (r < 0)
                return r;
        r = sd_bus_message_read(o->message, "tt", &limit->soft, &limit->hard);
        return r < 0 ? r : container_check_rlimit(o, items, n);
}

int option_read_rlimits(OptionReader *o, ContainerRlimit **limits, size_t *n) {
        static const ListType type = {"(stt)", "stt", sizeof(ContainerRlimit), read_rlimit};

        return read_list(o, &type, (void **) limits, n);
}

static int read_secret(OptionReader *o, const void *items, size_t n, void *item) {
        ContainerSecret *secret = item;
        int r;

        r = option_string_copy(o, &secret->name);
        if (r >= 0)
                r = option_string_copy(o, &secret->target);
        if (r < 0)
                return r;
        r = sd_bus_message_read(o->message, "uuu", &secret->uid, &secret->gid, &secret->mode);
        return r < 0 ? r : container_check_secret(o, items, n, secret);
}

int option_secrets(OptionReader *o, void *target) {
        static const ListType type = {"(ssuuu)", "ssuuu", sizeof(ContainerSecret), read_secret};
        ContainerRequest *request = target;

        return read_list(o, &type, (void **) &request->secrets, &request->n_secrets);
}

int option_id_mappings(OptionReader *o, void *target) {
        IdMappings *mappings = target;
        IdMapping mapping;
        int r;

        r = sd_bus_message_enter_container(o->message, 'a', "(uuu)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(o->message, "(uuu)", &mapping.container, &mapping.host,
                                        &mapping.size)) > 0) {
                _cleanup_error_ Error e = ERROR_NULL;

                r = id_mappings_add(mappings, &mapping, &e);
                if (r == CTR_INVALID_ARGUMENT)
                        return option_invalid(o, "%s", error_text(&e));
                if (r != 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(o->message);
}
