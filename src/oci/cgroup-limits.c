/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/cgroup-limits-internal.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "oci/device-filter.h"
#include "runtime/cgroup-tree.h"

void limits_clear(Limits *l) {
        for (size_t i = 0; i < l->n; i++) {
                free(l->items[i].file);
                free(l->items[i].value);
        }
        free(l->items);
        json_decref(l->devices);
        *l = (Limits){};
}

const char *limits_get(const Limits *l, const char *file) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].file, file))
                        return l->items[i].value;
        return NULL;
}

/* Takes over file and value, which may be NULL for lack of memory. */
static int add(Limits *l, const char *property, char *file, char *value, Error *e) {
        Limit *items = NULL;

        if (l->n >= LIMITS_MAX) {
                free(file);
                free(value);
                return error_setf(e, CTR_INVALID_ARGUMENT, "linux.resources: more than %u limits",
                                  LIMITS_MAX);
        }
        if (file && value)
                items = realloc(l->items, (l->n + 1) * sizeof(*items));
        if (!items) {
                free(file);
                free(value);
                return -ENOMEM;
        }
        l->items = items;
        l->items[l->n++] = (Limit){.property = property, .file = file, .value = value};
        return 0;
}

int limits_addf(Limits *l, const char *property, const char *file, Error *e, const char *format,
                ...) {
        char *value = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&value, format, ap);
        va_end(ap);
        return add(l, property, strdup(file), n < 0 ? NULL : value, e);
}

int limits_add_maximum(Limits *l, const char *property, const char *file, int64_t value, Error *e) {
        return value < 0 ? limits_addf(l, property, file, e, "max")
                         : limits_addf(l, property, file, e, "%lld", (long long) value);
}

int limits_get_number(json_t *o, const char *path, const char *key, int64_t *ret, Error *e) {
        return json_get_int64(o, path, key, INT64_MIN, INT64_MAX, ret, e);
}

int limits_refuse_numbers(json_t *o, const char *path, const char *const keys[], size_t n,
                          Error *e) {
        for (size_t i = 0; i < n; i++) {
                int64_t value = 0;
                int r;

                r = limits_get_number(o, path, keys[i], &value, e);
                if (r < 0)
                        return r;
                if (value != 0)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "%s.%s: cgroup v2 has no such limit", path, keys[i]);
        }
        return 0;
}

static int check_memory(const Limits *l, int cgroup_fd, Error *e) {
        _cleanup_free_ char *used = NULL;

        if (l->memory_check == 0 ||
            file_read_at(cgroup_fd, "memory.current", 64, &used, NULL) < 0 ||
            strtoull(used, NULL, 10) <= l->memory_check)
                return 0;
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          "linux.resources.memory.limit: the container uses %s bytes already",
                          strtok(used, "\n"));
}

static int apply(const Limit *limit, int cgroup_fd, Error *e) {
        int r;

        r = cgroup_attribute_write(cgroup_fd, limit->file, limit->value);
        /* the scheduler BFQ has a file of its own */
        if (r == -ENOENT && streq(limit->file, "io.weight"))
                r = cgroup_attribute_write(cgroup_fd, "io.bfq.weight", limit->value);
        /* what is not limited needs no controller */
        if (r == -ENOENT && (limit->is_optional || streq(limit->value, "max")))
                return 0;
        if (r == -ENOENT)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "%s: the cgroup has no %s (its controller is not there or was "
                                  "not handed down)",
                                  limit->property, limit->file);
        return r < 0 ? error_setf(e, r, "%s: Failed to write \"%s\" to %s: %m", limit->property,
                                  limit->value, limit->file)
                     : 0;
}

int limits_apply(const Limits *l, int cgroup_fd, bool without_devices, Error *e) {
        int r;

        r = check_memory(l, cgroup_fd, e);
        for (size_t i = 0; r == 0 && i < l->n; i++)
                r = apply(&l->items[i], cgroup_fd, e);
        if (r == 0 && l->devices && !without_devices)
                r = device_filter_attach(l->devices, cgroup_fd, e);
        return r;
}
