/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits on the bus: as options of CreateContainer, as the argument of Task.Update, and as the
 * property Task.Resources. */

#include "bus/options.h"
#include "bus/property.h"

/* OptionParsers; the target is a json_t *, made when needed, and gets the key. Whether the value is
 * in range is for unit_properties_check(). */
int option_limit_number(OptionReader *o, void *target); /* t */
int option_limit_list(OptionReader *o, void *target);   /* s */

/* The rows of a table of Options, with the offset of the json_t *. */
#define LIMIT_OPTIONS(offset)                                                                      \
        {"MemoryMax", "t", option_limit_number, offset},                                           \
                        {"MemoryHigh", "t", option_limit_number, offset},                          \
                        {"MemoryLow", "t", option_limit_number, offset},                           \
                        {"MemorySwapMax", "t", option_limit_number, offset},                       \
                        {"TasksMax", "t", option_limit_number, offset},                            \
                        {"CPUWeight", "t", option_limit_number, offset},                           \
                        {"IOWeight", "t", option_limit_number, offset},                            \
                        {"CPUQuotaPerSecUSec", "t", option_limit_number, offset},                  \
                        {"AllowedCPUs", "s", option_limit_list, offset}, {                         \
                "AllowedMemoryNodes", "s", option_limit_list, offset                               \
        }

int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error);

BUS_GETTER(property_get_resources); /* userdata is the Task */
