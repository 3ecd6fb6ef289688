/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Invariant: what is kept of the file has been checked; devices are looked for when a class is
 * used, because they come and go. */

#include "manager/blockio.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/yaml-json.h"

#define FILE_MAX       (1U << 20)
#define WEIGHT_MIN     10U
#define WEIGHT_MAX     1000U
#define DEVICE_MATCHES 256U

struct BlockIO {
        json_t *classes; /* {class: [{"Devices": [pattern], KEY: number}]} */
};

static const struct {
        const char *key, *property;
} device_keys[] = {
                {"Weight", "IODeviceWeight"},
                {"ThrottleReadBps", "IOReadBandwidthMax"},
                {"ThrottleWriteBps", "IOWriteBandwidthMax"},
                {"ThrottleReadIOPS", "IOReadIOPSMax"},
                {"ThrottleWriteIOPS", "IOWriteIOPSMax"},
};

BlockIO *blockio_free(BlockIO *b) {
        if (!b)
                return NULL;
        json_decref(b->classes);
        free(b);
        return NULL;
}

uint64_t blockio_weight(uint64_t weight) {
        return 1 + (weight - WEIGHT_MIN) * 9999 / (WEIGHT_MAX - WEIGHT_MIN);
}

uint64_t blockio_weight_oci(uint64_t weight) {
        return WEIGHT_MIN + ((weight - 1) * (WEIGHT_MAX - WEIGHT_MIN) + 9998) / 9999;
}

static bool parse_suffix(const char *s, uint64_t *ret) {
        static const struct {
                const char *suffix;
                uint64_t factor;
        } suffixes[] = {
                        {"", 1},
                        {"k", 1000},
                        {"M", 1000000},
                        {"G", 1000000000},
                        {"T", 1000000000000},
                        {"P", 1000000000000000},
                        {"Ki", UINT64_C(1) << 10},
                        {"Mi", UINT64_C(1) << 20},
                        {"Gi", UINT64_C(1) << 30},
                        {"Ti", UINT64_C(1) << 40},
                        {"Pi", UINT64_C(1) << 50},
        };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (streq(suffixes[i].suffix, s)) {
                        *ret = suffixes[i].factor;
                        return true;
                }
        return false;
}

bool blockio_parse_quantity(const char *s, uint64_t *ret) {
        uint64_t value = 0, factor, whole, part, scale = 1;
        bool any = false, point = false;

        for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
                if (*s == '.') {
                        point = true;
                        continue;
                }
                any = true;
                if (__builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
                        return false;
                if (point && (scale *= 10) > 1000000)
                        return false;
        }
        if (!any || !parse_suffix(s, &factor))
                return false;
        if (__builtin_mul_overflow(value / scale, factor, &whole) ||
            __builtin_mul_overflow(value % scale, factor, &part))
                return false;
        part = (part + scale - 1) / scale;
        return !__builtin_add_overflow(whole, part, ret) && *ret <= INT64_MAX;
}

static int check_value(const char *path, const char *key, json_t *value, json_t *item, Error *e) {
        bool is_weight = streq(key, "Weight");
        uint64_t number;

        if (!json_is_string(value) || !blockio_parse_quantity(json_string_value(value), &number))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: expected a quantity like 10M",
                                  path, key);
        if (is_weight && (number < WEIGHT_MIN || number > WEIGHT_MAX))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: expected %u to %u", path, key,
                                  WEIGHT_MIN, WEIGHT_MAX);
        if (!is_weight && !json_object_get(item, "Devices"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: Devices are missing", path, key);
        if (number == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: must not be 0", path, key);
        return json_object_set_new(item, key, json_integer((json_int_t) number)) < 0 ? -ENOMEM : 0;
}

static bool is_device_key(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(device_keys); i++)
                if (streq(device_keys[i].key, key))
                        return true;
        return false;
}

/* Replaces the texts of one item by numbers. */
static int check_item(const char *path, json_t *item, Error *e) {
        json_t *devices, *value, *device;
        const char *key;
        size_t i;
        void *next;
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected a mapping", path);
        r = json_get_array(item, path, "Devices", 1024, &devices, e);
        if (r < 0)
                return r;
        if (r > 0)
                json_array_foreach(devices, i, device)
                        if (!json_is_string(device))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s.Devices: expected strings", path);
        json_object_foreach_safe(item, next, key, value) {
                if (streq(key, "Devices"))
                        continue;
                r = is_device_key(key) ? check_value(path, key, value, item, e)
                                       : error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s is unknown",
                                                    path, key);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int check_class(const char *name, json_t *items, Error *e) {
        json_t *item;
        size_t i;

        if (!json_is_array(items))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected a sequence", name);
        json_array_foreach(items, i, item) {
                _cleanup_free_ char *path = NULL;
                int r;

                if (asprintf(&path, "%s[%zu]", name, i) < 0)
                        return -ENOMEM;
                r = check_item(path, item, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static void drop_wrong_classes(const char *path, json_t *classes) {
        const char *name;
        json_t *items;
        void *next;

        json_object_foreach_safe(classes, next, name, items) {
                _cleanup_error_ Error e = ERROR_NULL;

                if (check_class(name, items, &e) == 0)
                        continue;
                log_warning("%s: leaving a class out: %s", path, error_text(&e));
                (void) json_object_del(classes, name);
        }
}

int blockio_load(const char *path, BlockIO **ret, Error *e) {
        _cleanup_(blockio_freep) BlockIO *b = NULL;
        _cleanup_json_ json_t *document = NULL;
        _cleanup_free_ char *text = NULL;
        json_t *classes = NULL;
        size_t size;
        int r;

        r = file_read_at(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        r = yaml_parse(text, size, path, &document, e);
        if (r != 0)
                return r;
        r = json_get_object(document, path, "Classes", &classes, e);
        if (r < 0)
                return r;
        b = calloc(1, sizeof(BlockIO));
        if (!b)
                return -ENOMEM;
        b->classes = classes ? json_incref(classes) : json_object();
        if (!b->classes)
                return -ENOMEM;
        drop_wrong_classes(path, b->classes);
        *ret = TAKE_PTR(b);
        return 0;
}

/* Limits are of whole disks. */
static bool is_disk(const char *path) {
        char partition[64];
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
                return false;
        (void) snprintf(partition, sizeof(partition), "/sys/dev/block/%u:%u/partition",
                        major(st.st_rdev), minor(st.st_rdev));
        return access(partition, F_OK) < 0;
}

/* Sets the value of a device in the array of [device, value] of a property. */
static int set_device(json_t *properties, const char *property, const char *device,
                      json_int_t value) {
        json_t *array = json_object_get(properties, property), *entry;
        size_t i;

        if (!array) {
                array = json_array();
                if (json_object_set_new(properties, property, array) < 0)
                        return -ENOMEM;
        }
        json_array_foreach(array, i, entry)
                if (streq_ptr(json_string_value(json_array_get(entry, 0)), device))
                        return json_array_set_new(entry, 1, json_integer(value)) < 0 ? -ENOMEM : 0;
        return json_array_append_new(array, json_pack("[sI]", device, value)) < 0 ? -ENOMEM : 0;
}

static int apply_to_device(json_t *item, const char *device, json_t *properties) {
        for (size_t i = 0; i < ELEMENTSOF(device_keys); i++) {
                json_t *value = json_object_get(item, device_keys[i].key);
                json_int_t number = json_integer_value(value);
                int r;

                if (!value)
                        continue;
                if (i == 0)
                        number = (json_int_t) blockio_weight((uint64_t) number);
                r = set_device(properties, device_keys[i].property, device, number);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_to_pattern(json_t *item, const char *pattern, json_t *properties) {
        glob_t found = {};
        size_t n = 0;
        int r = 0;

        /* nothing found is no error: the device is not plugged in */
        if (glob(pattern, GLOB_NOSORT, NULL, &found) == GLOB_NOSPACE)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < found.gl_pathc && n < DEVICE_MATCHES; i++) {
                char device[PATH_MAX];

                if (!realpath(found.gl_pathv[i], device) || !is_disk(device))
                        continue;
                r = apply_to_device(item, device, properties);
                n++;
        }
        globfree(&found);
        if (r == 0 && n == 0)
                log_warning("No disk matches %s: its part of the block I/O class has no effect",
                            pattern);
        return r;
}

static int apply_item(json_t *item, json_t *properties) {
        json_t *devices = json_object_get(item, "Devices"), *device;
        json_t *weight = json_object_get(item, "Weight");
        size_t i;

        if (!devices && weight)
                return json_object_set_new(properties, "IOWeight",
                                           json_integer((json_int_t) blockio_weight((
                                                           uint64_t) json_integer_value(weight)))) <
                                                       0
                                       ? -ENOMEM
                                       : 0;
        json_array_foreach(devices, i, device) {
                int r = apply_to_pattern(item, json_string_value(device), properties);

                if (r < 0)
                        return r;
        }
        return 0;
}

int blockio_apply(const BlockIO *b, const char *class_name, json_t *properties, Error *e) {
        json_t *items = b ? json_object_get(b->classes, class_name) : NULL, *item;
        _cleanup_json_ json_t *added = json_object();
        size_t i;

        if (!items)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "There is no block I/O class \"%.64s\"%s", class_name,
                                  b ? "" : ": no configuration of classes is loaded");
        if (!added)
                return -ENOMEM;
        json_array_foreach(items, i, item) {
                int r = apply_item(item, added);

                if (r < 0)
                        return r;
        }
        return json_object_update_missing(properties, added) < 0 ? -ENOMEM : 0;
}
