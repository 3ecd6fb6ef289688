/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/cgroup-limits.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "oci/device-filter.h"
#include "runtime/cgroup-tree.h"
#include "runtime/spec.h"

#define PATH "linux.resources"

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
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: more than %u limits", PATH,
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

_printf_(5, 6) static int addf(Limits *l, const char *property, const char *file, Error *e,
                               const char *format, ...) {
        char *value = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&value, format, ap);
        va_end(ap);
        return add(l, property, strdup(file), n < 0 ? NULL : value, e);
}

/* Negative: no limit. */
static int add_maximum(Limits *l, const char *property, const char *file, int64_t value, Error *e) {
        return value < 0 ? addf(l, property, file, e, "max")
                         : addf(l, property, file, e, "%lld", (long long) value);
}

static int get(json_t *o, const char *path, const char *key, int64_t *ret, Error *e) {
        return json_get_int64(o, path, key, INT64_MIN, INT64_MAX, ret, e);
}

/* 0 is "not given", as programs in Go write it. */
static int read_maximum(Limits *l, json_t *section, const char *property, const char *file,
                        int64_t *ret, Error *e) {
        int64_t value = 0;
        int r;

        r = get(section, PATH, strrchr(property, '.') + 1, &value, e);
        if (r <= 0 || value == 0)
                return MIN_OF(r, 0);
        if (ret)
                *ret = value;
        return add_maximum(l, property, file, value, e);
}

/* The specification counts swap together with memory, the kernel by itself. */
static int read_swap(Limits *l, json_t *memory, Error *e) {
        int64_t swap = 0, limit = 0;
        int r;

        r = get(memory, PATH ".memory", "swap", &swap, e);
        if (r <= 0 || swap == 0)
                return MIN_OF(r, 0);
        r = get(memory, PATH ".memory", "limit", &limit, e);
        if (r < 0)
                return r;
        if (swap < 0)
                return addf(l, PATH ".memory.swap", "memory.swap.max", e, "max");
        if (limit <= 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  PATH ".memory.swap: needs " PATH ".memory.limit");
        if (swap < limit)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  PATH ".memory.swap: is less than " PATH ".memory.limit");
        return add_maximum(l, PATH ".memory.swap", "memory.swap.max", swap - limit, e);
}

static int read_memory(Limits *l, json_t *memory, Error *e) {
        static const char *const refused[] = {"kernel", "kernelTCP", "swappiness",
                                              "disableOOMKiller"};
        int64_t limit = 0;
        bool check = false;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                r = spec_refuse(memory, PATH ".memory", refused[i], e);
                if (r != 0)
                        return r;
        }
        r = read_maximum(l, memory, PATH ".memory.limit", "memory.max", &limit, e);
        if (r == 0)
                r = read_maximum(l, memory, PATH ".memory.reservation", "memory.low", NULL, e);
        if (r == 0)
                r = read_swap(l, memory, e);
        if (r != 0)
                return r;
        r = json_get_bool(memory, PATH ".memory", "checkBeforeUpdate", &check, e);
        if (r > 0 && check && limit > 0)
                l->memory_check = (uint64_t) limit;
        return MIN_OF(r, 0);
}

static int read_cpu_time(Limits *l, json_t *cpu, Error *e) {
        int64_t quota = 0, period = 0, burst = 0;
        int r;

        r = get(cpu, PATH ".cpu", "quota", &quota, e);
        if (r >= 0)
                r = get(cpu, PATH ".cpu", "period", &period, e);
        if (r >= 0)
                r = get(cpu, PATH ".cpu", "burst", &burst, e);
        if (r < 0)
                return r;
        if (period < 0 || burst < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, PATH ".cpu.%s: is negative",
                                  period < 0 ? "period" : "burst");
        r = 0;
        if (quota > 0 || period > 0) {
                char text[24] = "max";

                if (quota > 0)
                        (void) snprintf(text, sizeof(text), "%lld", (long long) quota);
                r = addf(l, PATH ".cpu.quota", "cpu.max", e, "%s %lld", text,
                         (long long) (period > 0 ? period : 100000));
        } else if (quota < 0)
                r = addf(l, PATH ".cpu.quota", "cpu.max", e, "max");
        if (r == 0 && json_object_get(cpu, "burst"))
                r = addf(l, PATH ".cpu.burst", "cpu.max.burst", e, "%lld", (long long) burst);
        return r;
}

static int read_cpu_set(Limits *l, json_t *cpu, const char *key, const char *property,
                        const char *file, Error *e) {
        const char *list = NULL;
        int r;

        r = json_get_string(cpu, PATH ".cpu", key, &list, e);
        if (r <= 0 || isempty(list))
                return MIN_OF(r, 0);
        if (list[strspn(list, "0123456789,-")] != '\0')
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: \"%.64s\" is not a list of numbers",
                                  property, list);
        return addf(l, property, file, e, "%s", list);
}

static int read_cpu(Limits *l, json_t *cpu, Error *e) {
        uint64_t shares = 0;
        int64_t idle = 0;
        int r;

        if (json_integer_value(json_object_get(cpu, "realtimeRuntime")) != 0 ||
            json_integer_value(json_object_get(cpu, "realtimePeriod")) != 0)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  PATH ".cpu.realtimeRuntime: cgroup v2 has no such limit");
        r = json_get_uint64(cpu, PATH ".cpu", "shares", INT64_MAX, &shares, e);
        if (r < 0)
                return r;
        r = 0;
        if (shares > 0) { /* 2 to 262144 become 1 to 10000 */
                shares = MAX_OF(shares, UINT64_C(2));
                shares = MIN_OF(shares, UINT64_C(262144));
                shares = 1 + (shares - 2) * 9999 / 262142;
                r = addf(l, PATH ".cpu.shares", "cpu.weight", e, "%llu",
                         (unsigned long long) shares);
        }
        if (r == 0)
                r = read_cpu_time(l, cpu, e);
        if (r == 0)
                r = read_cpu_set(l, cpu, "cpus", PATH ".cpu.cpus", "cpuset.cpus", e);
        if (r == 0)
                r = read_cpu_set(l, cpu, "mems", PATH ".cpu.mems", "cpuset.mems", e);
        if (r != 0)
                return r;
        r = get(cpu, PATH ".cpu", "idle", &idle, e);
        if (r <= 0)
                return r;
        return addf(l, PATH ".cpu.idle", "cpu.idle", e, "%lld", (long long) idle);
}

static int read_pids(Limits *l, json_t *pids, Error *e) {
        return read_maximum(l, pids, PATH ".pids.limit", "pids.max", NULL, e);
}

/* 10 to 1000 become 1 to 10000. */
static unsigned long long io_weight(uint64_t weight) {
        return 1 + (MAX_OF(weight, UINT64_C(10)) - 10) * 9999 / 990;
}

static int read_device_number(json_t *item, const char *path, uint64_t *ret_major,
                              uint64_t *ret_minor, Error *e) {
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_uint64(item, path, "major", 0xfff, ret_major, e);
        if (r > 0)
                r = json_get_uint64(item, path, "minor", 0xfffff, ret_minor, e);
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: major and minor are required",
                                  path);
        return MIN_OF(r, 0);
}

/* A list of {major, minor, key: number}: each a line "major:minor WORDnumber" of the file. */
static int read_io_devices(Limits *l, json_t *io, const char *list, const char *key,
                           const char *file, const char *word, Error *e) {
        char path[SPEC_PATH_SIZE], name[64];
        json_t *array, *item;
        size_t i;
        int r;

        (void) snprintf(name, sizeof(name), PATH ".blockIO.%s", list);
        r = json_get_array(io, PATH ".blockIO", list, LIMITS_MAX, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                uint64_t device_major = 0, device_minor = 0, value = 0;

                (void) spec_path_index(path, name, i);
                r = read_device_number(item, path, &device_major, &device_minor, e);
                if (r != 0)
                        return r;
                r = json_get_uint64(item, path, key, INT64_MAX, &value, e);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = addf(l, PATH ".blockIO", file, e, "%llu:%llu %s%llu",
                         (unsigned long long) device_major, (unsigned long long) device_minor, word,
                         *word ? (unsigned long long) value : io_weight(value));
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_io(Limits *l, json_t *io, Error *e) {
        static const struct {
                const char *list, *key, *file, *word;
        } lists[] = {
                        {"weightDevice", "weight", "io.weight", ""},
                        {"throttleReadBpsDevice", "rate", "io.max", "rbps="},
                        {"throttleWriteBpsDevice", "rate", "io.max", "wbps="},
                        {"throttleReadIOPSDevice", "rate", "io.max", "riops="},
                        {"throttleWriteIOPSDevice", "rate", "io.max", "wiops="},
        };
        uint64_t weight = 0;
        int r;

        if (json_integer_value(json_object_get(io, "leafWeight")) != 0)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  PATH ".blockIO.leafWeight: cgroup v2 has no such weight");
        r = json_get_uint64(io, PATH ".blockIO", "weight", 1000, &weight, e);
        if (r < 0)
                return r;
        r = weight > 0 ? addf(l, PATH ".blockIO.weight", "io.weight", e, "%llu", io_weight(weight))
                       : 0;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(lists); i++)
                r = read_io_devices(l, io, lists[i].list, lists[i].key, lists[i].file,
                                    lists[i].word, e);
        return r;
}

static int read_huge_pages(Limits *l, json_t *array, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *item;
        size_t i;

        json_array_foreach(array, i, item) {
                const char *size = NULL;
                uint64_t limit = 0;
                char *file = NULL, *value = NULL;
                int r;

                (void) spec_path_index(path, PATH ".hugepageLimits", i);
                if (!json_is_object(item))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
                r = json_get_string(item, path, "pageSize", &size, e);
                if (r > 0)
                        r = json_get_uint64(item, path, "limit", INT64_MAX, &limit, e);
                if (r < 0)
                        return r;
                if (r == 0 || size[strspn(size, "0123456789KMGB")] != '\0')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: expected a pageSize, as \"2MB\", and a limit", path);
                if (asprintf(&file, "hugetlb.%s.max", size) < 0)
                        file = NULL;
                if (asprintf(&value, "%llu", (unsigned long long) limit) < 0)
                        value = NULL;
                r = add(l, PATH ".hugepageLimits", file, value, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_rdma(Limits *l, json_t *rdma, Error *e) {
        const char *device;
        json_t *item;

        json_object_foreach(rdma, device, item) {
                uint64_t handles = UINT64_MAX, objects = UINT64_MAX;
                char text[2][48] = {"", ""};
                int r;

                if (!json_is_object(item) || strchr(device, '\n') || strchr(device, ' '))
                        return error_setf(e, CTR_INVALID_ARGUMENT, PATH ".rdma.%.64s: not a limit",
                                          device);
                r = json_get_uint64(item, PATH ".rdma", "hcaHandles", UINT32_MAX, &handles, e);
                if (r > 0)
                        (void) snprintf(text[0], sizeof(text[0]), " hca_handle=%llu",
                                        (unsigned long long) handles);
                if (r >= 0)
                        r = json_get_uint64(item, PATH ".rdma", "hcaObjects", UINT32_MAX, &objects,
                                            e);
                if (r > 0)
                        (void) snprintf(text[1], sizeof(text[1]), " hca_object=%llu",
                                        (unsigned long long) objects);
                if (r >= 0)
                        r = addf(l, PATH ".rdma", "rdma.max", e, "%s%s%s", device, text[0],
                                 text[1]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whatever file of a controller's: but what decides on processes and delegation is not a limit. */
static int read_unified(Limits *l, json_t *unified, Error *e) {
        const char *file;
        json_t *value;
        int r;

        json_object_foreach(unified, file, value) {
                if (!json_is_string(value) || strchr(file, '/') || !strchr(file, '.') ||
                    file[0] == '.' || startswith(file, "cgroup."))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          PATH ".unified.%.64s: not a file of a controller", file);
                r = addf(l, PATH ".unified", file, e, "%s", json_string_value(value));
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_object(Limits *l, json_t *resources, const char *key,
                       int (*read)(Limits *l, json_t *j, Error *e), Error *e) {
        json_t *section;
        int r;

        r = json_get_object(resources, PATH, key, &section, e);
        return r > 0 ? read(l, section, e) : r;
}

static int read_all(Limits *l, json_t *resources, Error *e) {
        json_t *array;
        int r;

        r = spec_refuse(resources, PATH, "network", e);
        if (r == 0)
                r = read_object(l, resources, "memory", read_memory, e);
        if (r == 0)
                r = read_object(l, resources, "cpu", read_cpu, e);
        if (r == 0)
                r = read_object(l, resources, "pids", read_pids, e);
        if (r == 0)
                r = read_object(l, resources, "blockIO", read_io, e);
        if (r == 0)
                r = read_object(l, resources, "rdma", read_rdma, e);
        if (r == 0)
                r = read_object(l, resources, "unified", read_unified, e);
        if (r != 0)
                return r;
        r = json_get_array(resources, PATH, "hugepageLimits", LIMITS_MAX, &array, e);
        if (r > 0)
                r = read_huge_pages(l, array, e);
        if (r != 0)
                return r;
        r = json_get_array(resources, PATH, "devices", DEVICE_RULES_MAX, &array, e);
        if (r <= 0)
                return r;
        l->devices = json_incref(array);
        return device_rules_check(array, e);
}

int limits_read(json_t *resources, Limits *ret, Error *e) {
        Limits l = {};
        int r;

        r = resources ? read_all(&l, resources, e) : 0;
        if (r == -EBADMSG) { /* of the json_get_*() functions, which have set the text */
                if (e)
                        e->code = CTR_INVALID_ARGUMENT;
                r = CTR_INVALID_ARGUMENT;
        }
        if (r != 0) {
                limits_clear(&l);
                return r;
        }
        *ret = l;
        return 0;
}

static int check_memory(const Limits *l, int cgroup_fd, Error *e) {
        _cleanup_free_ char *used = NULL;

        if (l->memory_check == 0 ||
            file_read_at(cgroup_fd, "memory.current", 64, &used, NULL) < 0 ||
            strtoull(used, NULL, 10) <= l->memory_check)
                return 0;
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          PATH ".memory.limit: the container uses %s bytes already",
                          strtok(used, "\n"));
}

static int apply(const Limit *limit, int cgroup_fd, Error *e) {
        int r;

        r = cgroup_attribute_write(cgroup_fd, limit->file, limit->value);
        /* the scheduler BFQ has a file of its own */
        if (r == -ENOENT && streq(limit->file, "io.weight"))
                r = cgroup_attribute_write(cgroup_fd, "io.bfq.weight", limit->value);
        /* what is not limited needs no controller */
        if (r == -ENOENT && streq(limit->value, "max"))
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
