/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The container's cgroup as a transient scope of systemd's, for --systemd-cgroup. The library for
 * the bus is loaded here, so that nobody else pays for it.
 */

#include "oci/cgroup-limits.h"

/* Makes the scope with pid in it and waits until it is there. Limits become unit properties where
 * systemd has one for them. CTR_UNAVAILABLE if systemd cannot be reached. */
int scope_start(bool user_bus, const char *unit, const char *slice, const char *id, pid_t pid,
                const Limits *limits, Error *e);

/* Sets the properties of a scope that runs. */
int scope_update(bool user_bus, const char *unit, const Limits *limits, Error *e);

/* Stops it, if it is there, and waits until its name is free. */
int scope_stop(bool user_bus, const char *unit, Error *e);
