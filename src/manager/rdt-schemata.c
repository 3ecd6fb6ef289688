/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Shares as bit masks and percentages. Partitions never overlap in a cache: relative ones lie side
 * by side in the order of the file, absolute ones are checked. A class is a part of its partition,
 * counted from its lowest bit; classes may overlap.
 */

#include <inttypes.h>

#include "manager/rdt-internal.h"

static const char *const allocation_keys[_RDT_KIND_MAX] = {
                [RDT_L2] = "l2Allocation",
                [RDT_L3] = "l3Allocation",
                [RDT_MB] = "mbAllocation",
};

/* "0,2,8-11" */
static bool list_has(const char *list, unsigned id) {
        for (const char *s = list;;) {
                unsigned long first, last;
                char *end;

                if (*s < '0' || *s > '9')
                        return false;
                first = last = strtoul(s, &end, 10);
                if (*end == '-' && end[1] >= '0' && end[1] <= '9')
                        last = strtoul(end + 1, &end, 10);
                if (id >= first && id <= last)
                        return true;
                if (*end != ',')
                        return false;
                s = end + 1;
        }
}

/* What is said for one cache: without a mapping the same for all. NULL: nothing. */
static json_t *value_for_cache(json_t *allocation, unsigned id) {
        const char *key;
        json_t *value;

        if (!json_is_object(allocation))
                return allocation;
        json_object_foreach(allocation, key, value)
                if (!streq(key, "all") && list_has(key, id))
                        return value;
        return json_object_get(allocation, "all");
}

static const char *text_for_cache(json_t *allocation, unsigned id, const char *part) {
        json_t *value = value_for_cache(allocation, id);

        if (json_is_object(value))
                value = json_object_get(value, part) ?: json_object_get(value, "unified");
        return json_string_value(value);
}

typedef struct Share {
        bool relative;
        unsigned percent;
        uint64_t mask;
} Share;

static bool parse_percent(const char *s, unsigned *ret) {
        unsigned long percent;
        char *end;

        if (*s < '0' || *s > '9')
                return false;
        percent = strtoul(s, &end, 10);
        *ret = (unsigned) percent;
        return streq(end, "%") && percent >= 1 && percent <= 100;
}

static uint64_t bits(unsigned first, unsigned n) {
        return (n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << first;
}

static bool is_contiguous(uint64_t mask) {
        uint64_t low = mask >> (mask ? __builtin_ctzll(mask) : 0);

        return mask != 0 && (low & (low + 1)) == 0;
}

/* "60%", "0xf0" or "4-7". */
static int parse_share(const char *text, const char *what, Share *ret, Error *e) {
        unsigned long first, last;
        char *end;

        *ret = (Share){};
        if (parse_percent(text, &ret->percent)) {
                ret->relative = true;
                return 0;
        }
        if (startswith(text, "0x")) {
                ret->mask = strtoull(text, &end, 16);
                if (!*end && is_contiguous(ret->mask))
                        return 0;
        } else if (*text >= '0' && *text <= '9') {
                first = last = strtoul(text, &end, 10);
                if (*end == '-' && end[1] >= '0' && end[1] <= '9')
                        last = strtoul(end + 1, &end, 10);
                if (!*end && first <= last && last < 64) {
                        ret->mask = bits((unsigned) first, (unsigned) (last - first + 1));
                        return 0;
                }
        }
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "%s: \"%s\" is no percentage, contiguous mask or range of bits", what,
                          text);
}

/* The mask of a partition in one cache; 0: nobody says anything about it. */
static int partition_mask(const RdtResource *resource, unsigned id, json_t *partitions,
                          const char *wanted, uint64_t *ret, Error *e) {
        unsigned n_bits = (unsigned) __builtin_popcountll(resource->mask), sum = 0;
        uint64_t taken = 0, mine = 0;
        size_t said = 0;
        const char *name;
        json_t *partition;
        Share share;
        int r;

        json_object_foreach(partitions, name, partition) {
                const char *key = allocation_keys[resource->kind], *text;
                uint64_t mask;

                text = text_for_cache(json_object_get(partition, key), id, resource->part);
                if (!text)
                        continue;
                said++;
                r = parse_share(text, name, &share, e);
                if (r != 0)
                        return r;
                mask = share.mask;
                if (share.relative) {
                        unsigned first = sum * n_bits / 100;

                        sum += share.percent;
                        mask = bits(first, sum * n_bits / 100 - first);
                }
                if (sum > 100 || (mask & ~resource->mask) || (mask & taken) ||
                    (unsigned) __builtin_popcountll(mask) < MAX_OF(resource->min_bits, 1U))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s of %s: \"%s\" is too little, too much, or another "
                                          "partition's",
                                          key, name, text);
                taken |= mask;
                if (streq(name, wanted))
                        mine = mask;
        }
        if (said != 0 && said != json_object_size(partitions))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is said for some partitions only",
                                  allocation_keys[resource->kind]);
        *ret = mine;
        return 0;
}

static int class_mask(const RdtResource *resource, unsigned id, json_t *class_section,
                      const char *class_name, uint64_t base, uint64_t *ret, Error *e) {
        unsigned shift = (unsigned) __builtin_ctzll(base);
        unsigned n_bits = (unsigned) __builtin_popcountll(base);
        const char *text;
        Share share;
        int r;

        text = text_for_cache(json_object_get(class_section, allocation_keys[resource->kind]), id,
                              resource->part);
        if (!text) {
                *ret = base;
                return 0;
        }
        r = parse_share(text, class_name, &share, e);
        if (r != 0)
                return r;
        if (share.relative) {
                unsigned n = (share.percent - 1) * n_bits / 100 + 1;

                n = MAX_OF(n, resource->min_bits);
                share.mask = bits(0, MIN_OF(n, n_bits));
        }
        *ret = share.mask << shift;
        if (*ret & ~base || *ret >> shift != share.mask)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: \"%s\" is more than its partition",
                                  class_name, text);
        return 0;
}

/* The one of ["50%", "1000MBps"] that the kernel wants; *ret stays if nothing is said. */
static int parse_bandwidth(json_t *allocation, const RdtResource *resource, unsigned id,
                           const char *what, uint64_t *ret, Error *e) {
        json_t *value = value_for_cache(allocation, id), *item;
        size_t i;

        if (!value)
                return 0;
        json_array_foreach(value, i, item) {
                const char *text = strempty(json_string_value(item));
                unsigned long long number;
                unsigned percent;
                char *end;

                if (parse_percent(text, &percent)) {
                        if (resource->megabytes)
                                continue;
                        *ret = percent;
                        return 0;
                }
                number = strtoull(text, &end, 10);
                if (*text < '0' || *text > '9' || !streq(end, "MBps") || number > UINT32_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: \"%s\" is no percentage or MBps", what, text);
                if (!resource->megabytes)
                        continue;
                *ret = number;
                return 0;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s: mbAllocation does not say %s", what,
                          resource->megabytes ? "MBps" : "a percentage");
}

static int bandwidth(const RdtResource *resource, unsigned id, json_t *partition,
                     const char *partition_name, json_t *class_section, const char *class_name,
                     uint64_t *ret, Error *e) {
        uint64_t full = resource->megabytes ? UINT32_MAX : 100, base = full, share = full;
        int r;

        r = parse_bandwidth(json_object_get(partition, "mbAllocation"), resource, id,
                            partition_name, &base, e);
        if (r != 0)
                return r;
        r = parse_bandwidth(json_object_get(class_section, "mbAllocation"), resource, id,
                            class_name, &share, e);
        if (r != 0)
                return r;
        if (resource->megabytes)
                *ret = MIN_OF(base, share);
        else
                *ret = MAX_OF(base * share / 100, (uint64_t) resource->min_bandwidth);
        return 0;
}

/* The value for one cache; *ret_said: there is one. */
static int cache_value(const RdtResource *resource, unsigned id, json_t *partitions,
                       const char *partition_name, const char *class_name, uint64_t *ret,
                       bool *ret_said, Error *e) {
        json_t *partition = json_object_get(partitions, partition_name);
        json_t *class_section = json_object_get(json_object_get(partition, "classes"), class_name);
        uint64_t base = 0;
        int r;

        *ret_said = true;
        if (resource->kind == RDT_MB)
                return bandwidth(resource, id, partition, partition_name, class_section, class_name,
                                 ret, e);
        r = partition_mask(resource, id, partitions, partition_name, &base, e);
        *ret_said = base != 0;
        if (r != 0 || base == 0)
                return r;
        return class_mask(resource, id, class_section, class_name, base, ret, e);
}

int rdt_schema_line(const RdtResource *resource, json_t *partitions, const char *partition,
                    const char *class_name, char *text, size_t size, Error *e) {
        size_t n = strlen(text), length = n;

        for (size_t i = 0; i < resource->n_caches; i++) {
                uint64_t value = 0;
                bool said;
                int r;

                r = cache_value(resource, resource->caches[i], partitions, partition, class_name,
                                &value, &said, e);
                if (r != 0)
                        return r;
                if (!said)
                        continue;
                length += (size_t) snprintf(text + length, size - length,
                                            resource->kind == RDT_MB ? "%s%s%u=%" PRIu64
                                                                     : "%s%s%u=%" PRIx64,
                                            length == n ? resource->name : "",
                                            length == n ? ":" : ";", resource->caches[i], value);
                if (length + 1 >= size)
                        return -ENOBUFS;
        }
        if (length > n)
                strcpy(text + length, "\n");
        return 0;
}
