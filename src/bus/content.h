/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the methods about content share: those that list it, and those that do something with it. */

#include "basic/filter.h"
#include "bus/options.h"

typedef struct Service Service;

typedef struct ContentOptions {
        const char *namespace; /* NULL: all */
        bool all_namespaces, quarantine;
        Filter *filters;
} ContentOptions;

void content_options_done(ContentOptions *o);

/* Namespace and AllNamespaces. */
extern const Option content_scope_options[];

/* Reads options and asks for permission. 1: go on, 0: polkit was asked. */
int content_prepare(sd_bus_message *m, Service *s, const Option *table, ContentOptions *options,
                    sd_bus_error *error);
