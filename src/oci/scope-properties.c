/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/scope-properties.h"

#include <sched.h>

static int append_number(Bus *b, sd_bus_message *m, const char *name, const char *value) {
        uint64_t number = UINT64_MAX;

        if (!value)
                return 0;
        if (!streq(value, "max"))
                number = strtoull(value, NULL, 10);
        return b->append(m, "(sv)", name, "t", number);
}

/* "quota period" or "max period" */
static int append_quota(Bus *b, sd_bus_message *m, const char *value) {
        unsigned long long quota = 0, period = 100000;
        uint64_t per_second = UINT64_MAX;
        int r;

        if (!value)
                return 0;
        if (sscanf(value, "%llu %llu", &quota, &period) == 2 && period > 0)
                /* systemd rounds up to 10 ms, or writes less than was asked for */
                per_second = (quota * USEC_PER_SEC / period + 9999) / 10000 * 10000;
        r = b->append(m, "(sv)", "CPUQuotaPerSecUSec", "t", per_second);
        if (r >= 0 && per_second != UINT64_MAX)
                r = b->append(m, "(sv)", "CPUQuotaPeriodUSec", "t", (uint64_t) period);
        return r;
}

/* "0-3,5" as the bits that systemd takes. */
static int append_set(Bus *b, sd_bus_message *m, const char *name, const char *value) {
        uint8_t bits[CPU_SETSIZE / 8] = {};
        int r;

        if (!value)
                return 0;
        for (const char *p = value; *p;) {
                unsigned long first, last;
                char *end;

                first = last = strtoul(p, &end, 10);
                if (*end == '-')
                        last = strtoul(end + 1, &end, 10);
                if (end == p || (*end != ',' && *end != '\0') || last >= CPU_SETSIZE)
                        return -EINVAL;
                for (unsigned long i = first; i <= last; i++)
                        bits[i / 8] |= (uint8_t) (1U << (i % 8));
                p = *end ? end + 1 : end;
        }
        r = b->open_container(m, 'r', "sv");
        if (r >= 0)
                r = b->append(m, "s", name);
        if (r >= 0)
                r = b->open_container(m, 'v', "ay");
        if (r >= 0)
                r = b->append_array(m, 'y', bits, sizeof(bits));
        if (r >= 0)
                r = b->close_container(m);
        return r >= 0 ? b->close_container(m) : r;
}

int scope_properties_append(Bus *b, sd_bus_message *m, const Limits *limits) {
        static const struct {
                const char *file, *property;
        } numbers[] = {
                        {"memory.max", "MemoryMax"},          {"memory.low", "MemoryLow"},
                        {"memory.high", "MemoryHigh"},        {"memory.min", "MemoryMin"},
                        {"memory.swap.max", "MemorySwapMax"}, {"cpu.weight", "CPUWeight"},
        };
        const char *tasks = limits_get(limits, "pids.max");
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
                r = append_number(b, m, numbers[i].property, limits_get(limits, numbers[i].file));
        /* systemd has no 0, and with init in it 1 is the same */
        if (r >= 0)
                r = append_number(b, m, "TasksMax", tasks && streq(tasks, "0") ? "1" : tasks);
        if (r >= 0)
                r = append_quota(b, m, limits_get(limits, "cpu.max"));
        if (r >= 0)
                r = append_set(b, m, "AllowedCPUs", limits_get(limits, "cpuset.cpus"));
        if (r >= 0)
                r = append_set(b, m, "AllowedMemoryNodes", limits_get(limits, "cpuset.mems"));
        return MIN_OF(r, 0);
}
