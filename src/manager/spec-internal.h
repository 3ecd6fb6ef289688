/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of the document, each a new JSON value, NULL when out of memory (or with e set when the
 * request is wrong). */

#include "manager/spec.h"

/* for_systemd: with what a systemd as init needs to mount nothing itself, and cgroups of its own.
 */
json_t *spec_mounts(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                    bool for_systemd);
json_t *spec_capabilities(const ContainerRequest *request, Error *e);
/* names (an array, or NULL) without drop and with add; unknown ones are CTR_INVALID_ARGUMENT. */
json_t *spec_capabilities_change(json_t *names, char *const *add, char *const *drop, Error *e);
bool spec_capability_is_default(const char *name);
/* capabilities: the names in the bounding set */
json_t *spec_seccomp(Manager *m, json_t *capabilities);
/* linux; device nodes are looked at on the host, and their DeviceAllow goes into resources. */
json_t *spec_linux(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                   json_t *capabilities, json_t *resources, Error *e);
