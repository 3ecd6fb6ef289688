/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * linux.resources as limits. Invariant: each property of the specification is one or is refused by
 * its name; those that cgroup v2 has no file for are the latter.
 */

#include "basic/json.h"
#include "oci/cgroup-limits-internal.h"
#include "oci/device-filter.h"
#include "runtime/spec.h"

#define PATH "linux.resources"

/* 0 is "not given", as programs in Go write it. */
static int read_maximum(Limits *l, json_t *memory, const char *property, const char *file,
                        int64_t *ret, Error *e) {
        int64_t value = 0;
        int r;

        r = limits_get_number(memory, PATH ".memory", strrchr(property, '.') + 1, &value, e);
        if (r <= 0 || value == 0)
                return MIN_OF(r, 0);
        if (ret)
                *ret = value;
        return limits_add_maximum(l, property, file, value, e);
}

/* The specification counts swap together with memory, the kernel by itself. */
static int read_swap(Limits *l, json_t *memory, Error *e) {
        int64_t swap = 0, limit = 0;
        int r;

        r = limits_get_number(memory, PATH ".memory", "swap", &swap, e);
        if (r <= 0 || swap == 0)
                return MIN_OF(r, 0);
        r = limits_get_number(memory, PATH ".memory", "limit", &limit, e);
        if (r < 0)
                return r;
        if (swap < 0)
                return limits_addf(l, PATH ".memory.swap", "memory.swap.max", e, "max");
        if (limit <= 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  PATH ".memory.swap: needs " PATH ".memory.limit");
        if (swap < limit)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  PATH ".memory.swap: is less than " PATH ".memory.limit");
        return limits_add_maximum(l, PATH ".memory.swap", "memory.swap.max", swap - limit, e);
}

/* What cgroup v2 has no file for; saying what is so anyway asks for nothing. */
static int refuse_memory(json_t *memory, Error *e) {
        static const char *const refused[] = {"swappiness", "disableOOMKiller"};
        static const char *const only_unlimited[] = {"kernel", "kernelTCP"};
        bool hierarchy = true;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                r = spec_refuse(memory, PATH ".memory", refused[i], e);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(only_unlimited); i++) {
                int64_t value = 0;

                r = limits_get_number(memory, PATH ".memory", only_unlimited[i], &value, e);
                if (r < 0)
                        return r;
                if (value > 0)
                        return spec_not_supported(e, PATH ".memory", only_unlimited[i]);
        }
        r = json_get_bool(memory, PATH ".memory", "useHierarchy", &hierarchy, e);
        if (r < 0)
                return r;
        return hierarchy ? 0
                         : error_setf(e, CTR_NOT_IMPLEMENTED,
                                      PATH ".memory.useHierarchy: cgroup v2 is always "
                                           "hierarchical");
}

static int read_memory(Limits *l, json_t *memory, Error *e) {
        int64_t limit = 0;
        bool check = false;
        int r;

        r = refuse_memory(memory, e);
        if (r == 0)
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
        bool has_burst;
        int r;

        r = limits_get_number(cpu, PATH ".cpu", "quota", &quota, e);
        if (r >= 0)
                r = limits_get_number(cpu, PATH ".cpu", "period", &period, e);
        if (r >= 0)
                r = limits_get_number(cpu, PATH ".cpu", "burst", &burst, e);
        if (r < 0)
                return r;
        has_burst = r > 0;
        if (period < 0 || burst < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, PATH ".cpu.%s: is negative",
                                  period < 0 ? "period" : "burst");
        r = 0;
        if (quota > 0 || period > 0) {
                char text[24] = "max";

                if (quota > 0)
                        (void) snprintf(text, sizeof(text), "%lld", (long long) quota);
                r = limits_addf(l, PATH ".cpu.quota", "cpu.max", e, "%s %lld", text,
                                (long long) (period > 0 ? period : 100000));
        } else if (quota < 0)
                r = limits_addf(l, PATH ".cpu.quota", "cpu.max", e, "max");
        if (r == 0 && has_burst)
                r = limits_addf(l, PATH ".cpu.burst", "cpu.max.burst", e, "%lld",
                                (long long) burst);
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
        return limits_addf(l, property, file, e, "%s", list);
}

static int read_cpu(Limits *l, json_t *cpu, Error *e) {
        static const char *const refused[] = {"realtimeRuntime", "realtimePeriod"};
        uint64_t shares = 0;
        int64_t idle = 0;
        int r;

        r = limits_refuse_numbers(cpu, PATH ".cpu", refused, ELEMENTSOF(refused), e);
        if (r != 0)
                return r;
        r = json_get_uint64(cpu, PATH ".cpu", "shares", INT64_MAX, &shares, e);
        if (r < 0)
                return r;
        r = 0;
        if (shares > 0) { /* 2 to 262144 become 1 to 10000 */
                shares = MAX_OF(shares, UINT64_C(2));
                shares = MIN_OF(shares, UINT64_C(262144));
                shares = 1 + (shares - 2) * 9999 / 262142;
                r = limits_addf(l, PATH ".cpu.shares", "cpu.weight", e, "%llu",
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
        r = limits_get_number(cpu, PATH ".cpu", "idle", &idle, e);
        if (r <= 0)
                return r;
        return limits_addf(l, PATH ".cpu.idle", "cpu.idle", e, "%lld", (long long) idle);
}

/* Here 0 is a limit: nothing can be cloned. */
static int read_pids(Limits *l, json_t *pids, Error *e) {
        int64_t limit = 0;
        int r;

        r = limits_get_number(pids, PATH ".pids", "limit", &limit, e);
        return r > 0 ? limits_add_maximum(l, PATH ".pids.limit", "pids.max", limit, e) : r;
}

/* Whatever file of a controller's: but what decides on processes and delegation is not a limit. */
static int read_unified(Limits *l, json_t *unified, Error *e) {
        const char *file;
        json_t *value;
        int r;

        json_object_foreach(unified, file, value) {
                if (!json_is_string(value) ||
                    strlen(json_string_value(value)) != json_string_length(value) ||
                    strchr(file, '/') || !strchr(file, '.') || file[0] == '.' ||
                    startswith(file, "cgroup."))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          PATH ".unified.%.64s: not a file of a controller", file);
                r = limits_addf(l, PATH ".unified", file, e, "%s", json_string_value(value));
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
                r = read_object(l, resources, "blockIO", limits_read_io, e);
        if (r == 0)
                r = read_object(l, resources, "rdma", limits_read_rdma, e);
        if (r == 0)
                r = read_object(l, resources, "unified", read_unified, e);
        if (r != 0)
                return r;
        r = json_get_array(resources, PATH, "hugepageLimits", LIMITS_MAX, &array, e);
        if (r > 0)
                r = limits_read_huge_pages(l, array, e);
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
