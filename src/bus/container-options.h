/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of CreateContainer, read into the request of the core. */

#include <systemd/sd-bus.h>

#include "bus/options.h"
#include "bus/service.h"
#include "manager/container.h"

typedef enum PullPolicy {
        PULL_NEVER,
        PULL_MISSING,
        PULL_ALWAYS,
} PullPolicy;

typedef struct ContainerOptions {
        ContainerRequest request;
        PullPolicy pull;
} ContainerOptions;

ContainerOptions *container_options_free(ContainerOptions *o);
DEFINE_CLEANUP(ContainerOptions *, container_options_free);

/* The same for late_set_payload(). */
void container_options_destroy(void *o);

/* Reads the options; namespace is always set then and resources are checked. What depends on the
 * image or on the state is left to the core. */
int container_options_read(sd_bus_message *m, ContainerOptions *o, sd_bus_error *error);

/* Those that Exec or CreateTask have, too. */
int option_environment(OptionReader *o, void *target); /* as: char **, owned */
int option_user(OptionReader *o, void *target);        /* s: char *, owned */
int option_runtime(OptionReader *o, void *target);     /* s: char *, owned */

/* Before the method's own action, if the runtime (NULL: none was given) is a path:
 * authorize_root().
 */
int authorize_runtime(Service *s, sd_bus_message *m, const char *runtime, sd_bus_error *error);
