/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Those options of CreateContainer whose value is an array of structs. Each item is checked when it
 * is read, and how many there are is bounded: each costs work when the task starts.
 */

#include "bus/options.h"
#include "manager/container.h"

int option_mounts(OptionReader *o, void *target);      /* a(sssas): ContainerRequest */
int option_secrets(OptionReader *o, void *target);     /* a(ssuuu): ContainerRequest */
int option_devices(OptionReader *o, void *target);     /* a(ss): ContainerRequest */
int option_id_mappings(OptionReader *o, void *target); /* a(uuu): IdMappings */

/* a(stt): appended to *limits, whose names are owned */
int option_read_rlimits(OptionReader *o, ContainerRlimit **limits, size_t *n);
