/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Resource limits as unit properties (E4): the one table of those that a container may set, their
 * types and bounds. They travel as a JSON object {name: value} in the database and in requests:
 * integers for t (UINT64_MAX, infinity, as -1), strings for CPU and node lists ("0-3,5"),
 * DeviceAllow as an array of [path, access], limits of devices as one of [path, integer].
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "basic/error.h"

typedef enum UnitPropertyType {
        UNIT_PROPERTY_UINT64,
        UNIT_PROPERTY_CPU_SET,
        UNIT_PROPERTY_DEVICES,
        UNIT_PROPERTY_DEVICE_LIMITS,
} UnitPropertyType;

typedef struct UnitProperty {
        const char *name;
        UnitPropertyType type;
        uint64_t min, max; /* for integers; infinity is allowed besides if max is UINT64_MAX - 1 */
        uint64_t unset;    /* for integers: what systemd says if nobody chose anything */
} UnitProperty;

/* The table's row or NULL. */
const UnitProperty *unit_property_find(const char *name);

/* 0, or CTR_INVALID_ARGUMENT that names the property and what it takes. */
int unit_properties_check(json_t *properties, Error *e);

/* Appends them to an open a(sv) of a StartTransientUnit or SetUnitProperties call. */
int unit_properties_append(sd_bus_message *m, json_t *properties);

/* Reads the variant that m is at as the value of p. 1; 0 if nobody set it: then *ret is untouched;
 * negative errno. For integers and sets of CPUs. */
int unit_property_read(sd_bus_message *m, const UnitProperty *p, json_t **ret);

/* The value that takes back what was chosen: infinity, systemd's own weight, every CPU. New. */
json_t *unit_property_unset(const UnitProperty *p);
