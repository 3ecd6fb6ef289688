/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * linux.resources of the document, as the OCI says what the unit properties say: for who reads the
 * document. The limits themselves are set by systemd, and nothing reads them back from here.
 */

#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "manager/blockio.h"
#include "manager/spec.h"

#define CPU_PERIOD_USEC     100000
#define CPU_PERIODS_PER_SEC 10

/* Infinity is -1 in both worlds. */
static int set_number(json_t *object, const char *key, json_t *value) {
        if (!value)
                return 0;
        return json_object_set_new(object, key, json_integer(json_integer_value(value)));
}

/* The OCI counts memory and swap together. */
static int set_swap(json_t *memory, json_t *max, json_t *swap_max) {
        json_int_t both;

        if (!swap_max)
                return 0;
        if (json_integer_value(swap_max) < 0)
                return json_object_set_new(memory, "swap", json_integer(-1));
        if (!max || json_integer_value(max) < 0 ||
            __builtin_add_overflow(json_integer_value(max), json_integer_value(swap_max), &both))
                return 0; /* there it has no meaning without a limit of memory */
        return json_object_set_new(memory, "swap", json_integer(both));
}

static int set_quota(json_t *cpu, json_t *quota) {
        json_int_t usec = json_integer_value(quota);

        if (!quota)
                return 0;
        if (json_object_set_new(cpu, "period", json_integer(CPU_PERIOD_USEC)) < 0)
                return -ENOMEM;
        return json_object_set_new(cpu, "quota",
                                   json_integer(usec < 0 ? -1 : usec / CPU_PERIODS_PER_SEC));
}

/* Without a field of its own: by the name of the file. */
static int set_unified(json_t *unified, const char *file, json_t *value) {
        char text[24];

        if (!value)
                return 0;
        if (json_integer_value(value) < 0)
                strcpy(text, "max");
        else
                (void) snprintf(text, sizeof(text), "%" PRIu64,
                                (uint64_t) json_integer_value(value));
        return json_object_set_new(unified, file, json_string(text));
}

/* Takes child over; one without members is left out. */
static int set_child(json_t *object, const char *key, json_t *child) {
        if (json_object_size(child) == 0) {
                json_decref(child);
                return 0;
        }
        return json_object_set_new(object, key, child);
}

/* The OCI names devices by their numbers; one that is not there has none. */
static int add_device(json_t *list, json_t *entry, const char *value_key, bool is_weight) {
        const char *path = json_string_value(json_array_get(entry, 0));
        json_int_t value = json_integer_value(json_array_get(entry, 1));
        struct stat st;

        if (!path || value <= 0 || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
                return 0;
        if (is_weight)
                value = (json_int_t) blockio_weight_oci((uint64_t) value);
        return json_array_append_new(list,
                                     json_pack("{sI sI sI}", "major",
                                               (json_int_t) major(st.st_rdev), "minor",
                                               (json_int_t) minor(st.st_rdev), value_key, value));
}

/* The weight of all devices is io.weight, which is as exact as the unit property. */
static int set_block_io(json_t *block_io, json_t *properties) {
        static const struct {
                const char *property, *list, *value;
        } limits[] = {
                        {"IODeviceWeight", "weightDevice", "weight"},
                        {"IOReadBandwidthMax", "throttleReadBpsDevice", "rate"},
                        {"IOWriteBandwidthMax", "throttleWriteBpsDevice", "rate"},
                        {"IOReadIOPSMax", "throttleReadIOPSDevice", "rate"},
                        {"IOWriteIOPSMax", "throttleWriteIOPSDevice", "rate"},
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                json_t *list = json_array(), *entry;
                int r = list ? 0 : -ENOMEM;
                size_t k;

                json_array_foreach(json_object_get(properties, limits[i].property), k, entry)
                        r |= add_device(list, entry, limits[i].value, i == 0);
                if (json_array_size(list) == 0)
                        json_decref(list);
                else
                        r |= json_object_set_new(block_io, limits[i].list, list);
                if (r < 0)
                        return r;
        }
        return 0;
}

int spec_set_resources(json_t *document, json_t *properties) {
        json_t *linux_section = json_object_get(document, "linux");
        json_t *resources = json_object(), *memory = json_object(), *cpu = json_object();
        json_t *pids = json_object(), *unified = json_object(), *block_io = json_object();
        int r = 0;

#define VALUE(name) json_object_get(properties, name)
        r |= set_number(memory, "limit", VALUE("MemoryMax"));
        r |= set_number(memory, "reservation", VALUE("MemoryLow"));
        r |= set_swap(memory, VALUE("MemoryMax"), VALUE("MemorySwapMax"));
        r |= set_quota(cpu, VALUE("CPUQuotaPerSecUSec"));
        if (VALUE("AllowedCPUs"))
                r |= json_object_set(cpu, "cpus", VALUE("AllowedCPUs"));
        if (VALUE("AllowedMemoryNodes"))
                r |= json_object_set(cpu, "mems", VALUE("AllowedMemoryNodes"));
        r |= set_number(pids, "limit", VALUE("TasksMax"));
        r |= set_unified(unified, "memory.high", VALUE("MemoryHigh"));
        r |= set_unified(unified, "cpu.weight", VALUE("CPUWeight"));
        r |= set_unified(unified, "io.weight", VALUE("IOWeight"));
#undef VALUE
        r |= set_block_io(block_io, properties);

        r |= set_child(resources, "memory", memory);
        r |= set_child(resources, "cpu", cpu);
        r |= set_child(resources, "pids", pids);
        r |= set_child(resources, "blockIO", block_io);
        r |= set_child(resources, "unified", unified);
        (void) json_object_del(linux_section, "resources");
        r |= set_child(linux_section, "resources", resources);
        return r < 0 ? -ENOMEM : 0;
}
