/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a value of CreateContainer must look like, beyond its type: found out when the container is
 * made, with the key in the message, and not when its task is. Each returns 0, or the error that
 * option_invalid() has set.
 */

#include "bus/options.h"
#include "manager/container.h"

int container_check_command(OptionReader *o, char *const *command);
int container_check_environment(OptionReader *o, char *const *environment);
int container_check_user(OptionReader *o, const char *user);
int container_check_hostname(OptionReader *o, const char *name);
int container_check_mount(OptionReader *o, const ContainerMount *mount);
int container_check_device(OptionReader *o, const ContainerDevice *device);

/* last, of n, compared with those before. Its target becomes one of the two forms that there are.
 */
int container_check_secret(OptionReader *o, const ContainerSecret *secrets, size_t n,
                           ContainerSecret *last);

/* The last of n, compared with those before. */
int container_check_rlimit(OptionReader *o, const ContainerRlimit *limits, size_t n);
