/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the interface Container share. */

#include <systemd/sd-bus.h>

#include "bus/authority.h"
#include "manager/container.h"

/* What is said to polkit of a container, and of all that belongs to it; valid as long as it is. */
AuthorityDetails container_authority_details(const Container *c);

/* authorize(), or authorize_more(), with the container's namespace, id and image. */
int container_authorize(Container *c, sd_bus_message *m, sd_bus_error *error);
int container_authorize_more(Container *c, sd_bus_message *m, sd_bus_error *error);

/* version-methods.c */
int method_create_version(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_rollback(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete_version(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_versions(sd_bus_message *m, void *userdata, sd_bus_error *error);
