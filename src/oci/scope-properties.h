/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For scope.c: limits as properties of a unit, and the part of sd-bus that is used. */

#include <systemd/sd-bus.h>

#include "oci/cgroup-limits.h"

typedef struct Bus {
        void *handle;
        sd_bus *bus;
        int (*open_system)(sd_bus **);
        int (*open_user)(sd_bus **);
        sd_bus *(*close)(sd_bus *);
        int (*process)(sd_bus *, sd_bus_message **);
        int (*wait)(sd_bus *, uint64_t);
        int (*call)(sd_bus *, sd_bus_message *, uint64_t, sd_bus_error *, sd_bus_message **);
        int (*match_signal)(sd_bus *, sd_bus_slot **, const char *, const char *, const char *,
                            const char *, sd_bus_message_handler_t, void *);
        int (*new_call)(sd_bus *, sd_bus_message **, const char *, const char *, const char *,
                        const char *);
        int (*append)(sd_bus_message *, const char *, ...);
        int (*append_array)(sd_bus_message *, char, const void *, size_t);
        int (*open_container)(sd_bus_message *, char, const char *);
        int (*close_container)(sd_bus_message *);
        int (*read)(sd_bus_message *, const char *, ...);
        sd_bus_message *(*unref)(sd_bus_message *);
        void (*error_free)(sd_bus_error *);
} Bus;

/* Appends to an open a(sv) what systemd has a property for: it would write its own default over
 * these values at the next daemon-reload. 0 or negative errno. */
int scope_properties_append(Bus *b, sd_bus_message *m, const Limits *limits);
