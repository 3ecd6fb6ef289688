/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An exec that removes itself (AutoRemove) belongs to the connection that added it until it is
 * started: a client that dies between Exec and Start leaves nothing. The core keeps a name for the
 * connection, which no other one ever has: that of the bus, whose next start gives all unique names
 * anew, with the unique name.
 *
 * Invariant: whose connection is gone is found out in any order of things: the bus tells of those
 * that go from before the first call is read, and a start asks for those that have gone meanwhile.
 */

#include "bus/service.h"

/* The name of m's sender for the core, to be freed; NULL on a connection without a bus. 0 or
 * negative errno. */
int exec_client_name(Service *s, sd_bus_message *m, char **ret);

/* The connection with this unique name is gone. */
void exec_client_left(Service *s, const char *unique);

/* Asks the bus which connections there are; those that are not have gone while nobody watched. To
 * be called once, when the execs are known. */
int exec_clients_ask(Service *s);
