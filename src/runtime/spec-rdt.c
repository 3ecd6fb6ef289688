/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <limits.h>

#include "runtime/spec.h"

#define PATH "linux.intelRdt"

/* A directory of the resctrl file system that the kernel has not made itself. */
static bool group_is_valid(const char *name) {
        static const char *const reserved[] = {".", "..", "info", "mon_groups", "mon_data"};

        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (streq(reserved[i], name))
                        return false;
        return *name && strlen(name) <= NAME_MAX && !strpbrk(name, "/\n");
}

/* *ret stays NULL if there is none. */
static int parse_schema(json_t *o, const char *key, const char *prefix, const char **ret,
                        Error *e) {
        int r;

        r = json_get_string(o, PATH, key, ret, e);
        if (r <= 0)
                return r;
        if (isempty(*ret))
                *ret = NULL;
        else if (strchr(*ret, '\n') || !strchr(*ret, ':') || !startswith(*ret, prefix))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: expected one line, as \"%s0=f\"",
                                  PATH, key, *prefix ? prefix : "L3:");
        return 0;
}

int spec_parse_intel_rdt(SpecIntelRdt *rdt, json_t *section, Error *e) {
        json_t *o;
        int r;

        r = json_get_object(section, "linux", "intelRdt", &o, e);
        if (r <= 0)
                return r;
        rdt->set = true;
        r = json_get_string(o, PATH, "closID", &rdt->clos_id, e);
        if (r < 0)
                return r;
        if (isempty(rdt->clos_id))
                rdt->clos_id = NULL;
        if (rdt->clos_id && !streq(rdt->clos_id, "/") && !group_is_valid(rdt->clos_id))
                return error_setf(e, CTR_INVALID_ARGUMENT, PATH ".closID: not the name of a group");
        r = parse_schema(o, "l3CacheSchema", "", &rdt->l3_cache, e);
        if (r == 0)
                r = parse_schema(o, "memBwSchema", "MB:", &rdt->memory_bandwidth, e);
        if (r == 0)
                r = spec_get_strings(o, PATH, "schemata", SPEC_SCHEMATA_MAX, &rdt->schemata,
                                     &rdt->n_schemata, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < rdt->n_schemata; i++)
                if (strchr(rdt->schemata[i], '\n') || !strchr(rdt->schemata[i], ':'))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          PATH ".schemata[%zu]: expected one line, as \"L3:0=f\"",
                                          i);
        r = json_get_bool(o, PATH, "enableMonitoring", &rdt->monitoring, e);
        return MIN_OF(r, 0);
}
