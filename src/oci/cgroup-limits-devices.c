/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Of linux.resources what is said for each device or size of pages: blockIO, hugepageLimits, rdma.
 */

#include "basic/json.h"
#include "oci/cgroup-limits-internal.h"
#include "runtime/spec.h"

#define PATH "linux.resources"

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

static const char *const leaf_weight[] = {"leafWeight"};

/* A list of {major, minor, number}: each a line "major:minor WORDnumber" of the file. */
typedef struct IoList {
        const char *property, *key, *file, *word; /* word "": a weight */
} IoList;

static int read_io_device(Limits *l, const IoList *list, json_t *item, const char *path, Error *e) {
        uint64_t device_major = 0, device_minor = 0, value = 0;
        bool is_weight = *list->word == '\0';
        int r;

        r = read_device_number(item, path, &device_major, &device_minor, e);
        if (r == 0 && is_weight)
                r = limits_refuse_numbers(item, path, leaf_weight, 1, e);
        if (r != 0)
                return r;
        r = json_get_uint64(item, path, list->key, is_weight ? 1000 : INT64_MAX, &value, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, path, list->key);
        return limits_addf(l, list->property, list->file, e, "%llu:%llu %s%llu",
                           (unsigned long long) device_major, (unsigned long long) device_minor,
                           list->word, is_weight ? io_weight(value) : (unsigned long long) value);
}

static int read_io_devices(Limits *l, json_t *io, const IoList *list, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(io, PATH ".blockIO", strrchr(list->property, '.') + 1, LIMITS_MAX,
                           &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                r = read_io_device(l, list, item, spec_path_index(path, list->property, i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int limits_read_io(Limits *l, json_t *io, Error *e) {
        static const IoList lists[] = {
                        {PATH ".blockIO.weightDevice", "weight", "io.weight", ""},
                        {PATH ".blockIO.throttleReadBpsDevice", "rate", "io.max", "rbps="},
                        {PATH ".blockIO.throttleWriteBpsDevice", "rate", "io.max", "wbps="},
                        {PATH ".blockIO.throttleReadIOPSDevice", "rate", "io.max", "riops="},
                        {PATH ".blockIO.throttleWriteIOPSDevice", "rate", "io.max", "wiops="},
        };
        uint64_t weight = 0;
        int r;

        r = limits_refuse_numbers(io, PATH ".blockIO", leaf_weight, 1, e);
        if (r != 0)
                return r;
        r = json_get_uint64(io, PATH ".blockIO", "weight", 1000, &weight, e);
        if (r < 0)
                return r;
        r = weight > 0 ? limits_addf(l, PATH ".blockIO.weight", "io.weight", e, "%llu",
                                     io_weight(weight))
                       : 0;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(lists); i++)
                r = read_io_devices(l, io, &lists[i], e);
        return r;
}

/* "2MB" */
static bool page_size_is_valid(const char *size) {
        size_t digits = strspn(size, "0123456789");

        return digits > 0 && digits < 8 && size[0] != '0' && size[digits] != '\0' &&
               strchr("KMG", size[digits]) && streq(size + digits + 1, "B");
}

static int read_huge_page(Limits *l, json_t *item, const char *path, Error *e) {
        const char *size = NULL;
        char file[48];
        int64_t limit;
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_string(item, path, "pageSize", &size, e);
        if (r < 0)
                return r;
        if (r == 0 || !page_size_is_valid(size))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.pageSize: expected a size, as \"2MB\"", path);
        /* -1 are the bits of the largest unsigned one, see spec-read.c */
        r = json_get_int64(item, path, "limit", -1, INT64_MAX, &limit, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, path, "limit");
        (void) snprintf(file, sizeof(file), "hugetlb.%s.max", size);
        r = limits_add_maximum(l, PATH ".hugepageLimits", file, limit, e);
        if (r != 0)
                return r;
        /* of reservations, where the kernel counts those */
        (void) snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", size);
        r = limits_add_maximum(l, PATH ".hugepageLimits", file, limit, e);
        if (r == 0)
                l->items[l->n - 1].is_optional = true;
        return r;
}

int limits_read_huge_pages(Limits *l, json_t *array, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *item;
        size_t i;
        int r;

        json_array_foreach(array, i, item) {
                r = read_huge_page(l, item, spec_path_index(path, PATH ".hugepageLimits", i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* " WORDnumber", or "" if it is not given. */
static int read_rdma_number(json_t *item, const char *path, const char *key, const char *word,
                            char buf[static 48], Error *e) {
        uint64_t value;
        int r;

        buf[0] = '\0';
        r = json_get_uint64(item, path, key, UINT32_MAX, &value, e);
        if (r > 0)
                (void) snprintf(buf, 48, " %s%llu", word, (unsigned long long) value);
        return MIN_OF(r, 0);
}

static int read_rdma_device(Limits *l, const char *device, json_t *item, Error *e) {
        char path[SPEC_PATH_SIZE], handles[48], objects[48];
        int r;

        (void) snprintf(path, sizeof(path), PATH ".rdma.%.64s", device);
        if (!json_is_object(item) || isempty(device) || strpbrk(device, "\n "))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: not a limit of a device", path);
        r = read_rdma_number(item, path, "hcaHandles", "hca_handle=", handles, e);
        if (r == 0)
                r = read_rdma_number(item, path, "hcaObjects", "hca_object=", objects, e);
        if (r != 0)
                return r;
        if (!*handles && !*objects)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: needs hcaHandles or hcaObjects",
                                  path);
        return limits_addf(l, PATH ".rdma", "rdma.max", e, "%s%s%s", device, handles, objects);
}

int limits_read_rdma(Limits *l, json_t *rdma, Error *e) {
        const char *device;
        json_t *item;
        int r;

        json_object_foreach(rdma, device, item) {
                r = read_rdma_device(l, device, item, e);
                if (r != 0)
                        return r;
        }
        return 0;
}
