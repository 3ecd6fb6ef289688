/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The options of the command line that describe a process and its limits, as keys of the calls
 * CreateContainer, Exec and Update. One table says which field becomes which key of which call;
 * what the user did not give is not sent.
 */

#include <systemd/sd-bus.h>

#include "ctl/options.h"

typedef enum KeyScope {
        KEYS_CREATE = 1 << 0, /* CreateContainer */
        KEYS_EXEC = 1 << 1,   /* Exec */
        KEYS_UPDATE = 1 << 2, /* Update: what may change while it runs */
} KeyScope;

/* Appends those of one scope to an open a{sv}. 0 or negative errno, as all functions here. */
int message_append_keys(sd_bus_message *m, const CreateOptions *o, KeyScope scope);

/* Whether the user gave any of a scope. */
bool has_keys(const CreateOptions *o, KeyScope scope);

/* Appends {name: <as>} to an open a{sv}. */
int message_append_list(sd_bus_message *m, const char *name, char *const *list);

/* Opens {name: <array of type>} in an open a{sv}; message_close_array() closes it. */
int message_open_array(sd_bus_message *m, const char *name, const char *type);
int message_close_array(sd_bus_message *m);
