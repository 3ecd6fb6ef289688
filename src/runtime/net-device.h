/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Moving the host's network devices into a container (config-linux.md, "Network Devices"). A device
 * that moves loses its addresses: the permanent ones of global scope are noted before and given
 * back to it. It never comes back by our doing; the kernel returns hardware when the namespace
 * ends.
 */

#include "runtime/spec.h"

/* Moves the devices of the document into the network namespace of process pid and brings them up.
 * Done by a clone of the caller, since it takes both namespaces. CTR_NOT_FOUND for a device that is
 * not there, CTR_ALREADY_EXISTS if its name is taken in the container. What was moved before a
 * failure stays in the namespace, which ends with the container. */
int net_devices_move(const Spec *spec, pid_t pid, Error *e);
