/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fields that a filter (basic/filter.h) finds in images, containers and tasks; the contract
 * dbus/org.example.Ctr.xml lists them. */

#include <jansson.h>

#include "basic/filter.h"
#include "manager/object.h"

/* The part of a FilterLookup that finds "labels.KEY", where the key may be several names joined by
 * dots. */
bool label_lookup(json_t *labels, const FilterField *field, const char **ret);

/* A FilterLookup of Objects. */
bool object_lookup(const void *object, const FilterField *field, const char **ret);
