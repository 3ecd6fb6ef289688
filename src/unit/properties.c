/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/properties.h"

#include <ctype.h>

#define CPU_MAX       8192U
#define DEVICES_MAX   256U
#define NOT_UNLIMITED (UINT64_MAX - 1) /* as max: infinity is allowed too */

static const UnitProperty properties_table[] = {
                {"MemoryMin", UNIT_PROPERTY_UINT64, 0, NOT_UNLIMITED, 0},
                {"MemoryLow", UNIT_PROPERTY_UINT64, 0, NOT_UNLIMITED, 0},
                {"MemoryHigh", UNIT_PROPERTY_UINT64, 4096, NOT_UNLIMITED, UINT64_MAX},
                {"MemoryMax", UNIT_PROPERTY_UINT64, 4096, NOT_UNLIMITED, UINT64_MAX},
                {"MemorySwapMax", UNIT_PROPERTY_UINT64, 0, NOT_UNLIMITED, UINT64_MAX},
                {"TasksMax", UNIT_PROPERTY_UINT64, 1, NOT_UNLIMITED, UINT64_MAX},
                {"CPUWeight", UNIT_PROPERTY_UINT64, 1, 10000, UINT64_MAX},
                {"IOWeight", UNIT_PROPERTY_UINT64, 1, 10000, UINT64_MAX},
                {"CPUQuotaPerSecUSec", UNIT_PROPERTY_UINT64, 1000, NOT_UNLIMITED, UINT64_MAX},
                {"AllowedCPUs", UNIT_PROPERTY_CPU_SET, 0, 0},
                {"AllowedMemoryNodes", UNIT_PROPERTY_CPU_SET, 0, 0},
                {"DeviceAllow", UNIT_PROPERTY_DEVICES, 0, 0},
                {"IODeviceWeight", UNIT_PROPERTY_DEVICE_LIMITS, 1, 10000},
                {"IOReadBandwidthMax", UNIT_PROPERTY_DEVICE_LIMITS, 1, INT64_MAX},
                {"IOWriteBandwidthMax", UNIT_PROPERTY_DEVICE_LIMITS, 1, INT64_MAX},
                {"IOReadIOPSMax", UNIT_PROPERTY_DEVICE_LIMITS, 1, INT64_MAX},
                {"IOWriteIOPSMax", UNIT_PROPERTY_DEVICE_LIMITS, 1, INT64_MAX},
};

const UnitProperty *unit_property_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(properties_table); i++)
                if (streq(properties_table[i].name, name))
                        return properties_table + i;
        return NULL;
}

/* "0-3,5" to a bit mask, lowest first. 0, or -EINVAL for anything else. */
static int cpu_set_parse(const char *s, uint8_t mask[static CPU_MAX / 8], size_t *ret_size) {
        size_t size = 0;

        memset(mask, 0, CPU_MAX / 8);
        for (;;) {
                unsigned long first, last;
                char *end;

                if (!isdigit((unsigned char) *s))
                        return -EINVAL;
                first = last = strtoul(s, &end, 10);
                if (*end == '-') {
                        s = end + 1;
                        if (!isdigit((unsigned char) *s))
                                return -EINVAL;
                        last = strtoul(s, &end, 10);
                }
                if (first > last || last >= CPU_MAX)
                        return -EINVAL;
                for (unsigned long i = first; i <= last; i++)
                        mask[i / 8] |= (uint8_t) (1U << (i % 8));
                size = MAX_OF(size, last / 8 + 1);
                if (!*end)
                        break;
                if (*end != ',')
                        return -EINVAL;
                s = end + 1;
        }
        *ret_size = size;
        return 0;
}

/* The other way round. A new string, NULL without memory. */
static char *cpu_set_format(const uint8_t *mask, size_t size) {
        size_t n = MIN_OF(size, (size_t) CPU_MAX / 8) * 8, length = 0;
        char *s;

        s = calloc(n + 1, STRLEN("8191,"));
        for (size_t i = 0; s && i < n; i++) {
                size_t first = i;

                if (!(mask[i / 8] & 1U << i % 8))
                        continue;
                while (i + 1 < n && mask[(i + 1) / 8] & 1U << (i + 1) % 8)
                        i++;
                length += (size_t) sprintf(s + length, length > 0 ? ",%zu" : "%zu", first);
                if (i > first)
                        length += (size_t) sprintf(s + length, "-%zu", i);
        }
        return s;
}

static bool device_entry_is_valid(json_t *entry) {
        const char *path = json_string_value(json_array_get(entry, 0));
        const char *access = json_string_value(json_array_get(entry, 1));

        if (!path || !access || json_array_size(entry) != 2)
                return false;
        if (!startswith(path, "/dev/") && !startswith(path, "char-") && !startswith(path, "block-"))
                return false;
        return *access && strspn(access, "rwm") == strlen(access) && strlen(access) <= 3;
}

static bool device_limit_is_valid(const UnitProperty *p, json_t *entry) {
        const char *path = json_string_value(json_array_get(entry, 0));
        json_t *value = json_array_get(entry, 1);

        return path && startswith(path, "/dev/") && json_array_size(entry) == 2 &&
               json_is_integer(value) && json_integer_value(value) > 0 &&
               (uint64_t) json_integer_value(value) <= p->max;
}

static int check_device_limits(const UnitProperty *p, json_t *value, Error *e) {
        json_t *entry;
        size_t i;

        if (!json_is_array(value) || json_array_size(value) > DEVICES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected at most %u devices",
                                  p->name, DEVICES_MAX);
        json_array_foreach(value, i, entry) {
                if (!device_limit_is_valid(p, entry))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: expected a path below /dev and a positive number",
                                          p->name);
        }
        return 0;
}

static int check_one(const UnitProperty *p, json_t *value, Error *e) {
        uint8_t mask[CPU_MAX / 8];
        json_t *entry;
        size_t i;

        switch (p->type) {

        case UNIT_PROPERTY_UINT64: {
                uint64_t v = (uint64_t) json_integer_value(value);
                bool bounded = p->max != NOT_UNLIMITED;

                if (!json_is_integer(value) || v < p->min || (bounded && v > p->max) ||
                    (v > INT64_MAX && v != UINT64_MAX))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: expected an integer of at least %llu%s", p->name,
                                          (unsigned long long) p->min,
                                          bounded ? " and at most 10000" : ", or infinity");
                return 0;
        }

        case UNIT_PROPERTY_CPU_SET:
                if (!json_is_string(value) || cpu_set_parse(json_string_value(value), mask, &i) < 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: expected a list like \"0-3,5\"", p->name);
                return 0;

        case UNIT_PROPERTY_DEVICES:
                if (!json_is_array(value) || json_array_size(value) > DEVICES_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: expected at most %u devices", p->name, DEVICES_MAX);
                json_array_foreach(value, i, entry) {
                        if (!device_entry_is_valid(entry))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s: expected a path below /dev and an access "
                                                  "out of \"rwm\"",
                                                  p->name);
                }
                return 0;

        case UNIT_PROPERTY_DEVICE_LIMITS:
                return check_device_limits(p, value, e);
        }
        assert(false);
        return -EINVAL;
}

int unit_properties_check(json_t *properties, Error *e) {
        const char *name;
        json_t *value;
        int r;

        json_object_foreach(properties, name, value) {
                const UnitProperty *p = unit_property_find(name);

                if (!p)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "Unknown unit property \"%s\"",
                                          name);
                r = check_one(p, value, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int append_cpu_set(sd_bus_message *m, const char *name, json_t *value) {
        uint8_t mask[CPU_MAX / 8];
        size_t size = 0;
        int r;

        /* "" is systemd's empty set, every CPU; nobody can ask for it */
        r = isempty(json_string_value(value))
                            ? 0
                            : cpu_set_parse(json_string_value(value), mask, &size);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', "ay");
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(m, 'y', mask, size);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int append_devices(sd_bus_message *m, const char *name, json_t *value) {
        json_t *entry;
        size_t i;
        int r;

        json_array_foreach(value, i, entry) {
                r = sd_bus_message_append(m, "(sv)", name, "a(ss)", 1,
                                          json_string_value(json_array_get(entry, 0)),
                                          json_string_value(json_array_get(entry, 1)));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int append_device_limits(sd_bus_message *m, const char *name, json_t *value) {
        json_t *entry;
        size_t i;
        int r;

        json_array_foreach(value, i, entry) {
                r = sd_bus_message_append(m, "(sv)", name, "a(st)", 1,
                                          json_string_value(json_array_get(entry, 0)),
                                          (uint64_t) json_integer_value(json_array_get(entry, 1)));
                if (r < 0)
                        return r;
        }
        return 0;
}

int unit_properties_append(sd_bus_message *m, json_t *properties) {
        const char *name;
        json_t *value;
        int r;

        json_object_foreach(properties, name, value) {
                const UnitProperty *p = unit_property_find(name);

                if (!p)
                        return -EINVAL;
                switch (p->type) {
                case UNIT_PROPERTY_UINT64:
                        r = sd_bus_message_append(m, "(sv)", name, "t",
                                                  (uint64_t) json_integer_value(value));
                        break;
                case UNIT_PROPERTY_CPU_SET:
                        r = append_cpu_set(m, name, value);
                        break;
                case UNIT_PROPERTY_DEVICES:
                        r = append_devices(m, name, value);
                        break;
                case UNIT_PROPERTY_DEVICE_LIMITS:
                        r = append_device_limits(m, name, value);
                        break;
                default:
                        r = -EINVAL;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_cpu_set(sd_bus_message *m, json_t **ret) {
        _cleanup_free_ char *text = NULL;
        const void *mask;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, 'y', &mask, &size);
        if (r < 0)
                return r;
        text = cpu_set_format(mask, size);
        if (!text)
                return -ENOMEM;
        if (!*text)
                return 0;
        *ret = json_string(text);
        return *ret ? 1 : -ENOMEM;
}

static int read_uint64(sd_bus_message *m, const UnitProperty *p, json_t **ret) {
        uint64_t value;
        int r;

        r = sd_bus_message_read_basic(m, 't', &value);
        if (r < 0)
                return r;
        if (value == p->unset || value > INT64_MAX)
                return 0;
        *ret = json_integer((json_int_t) value);
        return *ret ? 1 : -ENOMEM;
}

int unit_property_read(sd_bus_message *m, const UnitProperty *p, json_t **ret) {
        bool is_set = p->type == UNIT_PROPERTY_CPU_SET;
        int r, found;

        assert(is_set || p->type == UNIT_PROPERTY_UINT64);

        r = sd_bus_message_enter_container(m, 'v', is_set ? "ay" : "t");
        if (r < 0)
                return r;
        found = is_set ? read_cpu_set(m, ret) : read_uint64(m, p, ret);
        if (found < 0)
                return found;
        r = sd_bus_message_exit_container(m);
        if (r < 0 && found > 0) {
                json_decref(*ret);
                *ret = NULL;
        }
        return r < 0 ? r : found;
}

json_t *unit_property_unset(const UnitProperty *p) {
        if (p->type == UNIT_PROPERTY_CPU_SET)
                return json_string("");
        return json_integer((json_int_t) p->unset);
}
