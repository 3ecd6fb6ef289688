/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of a container on how it resolves names. Each reads "as" into a char **, owned; what
 * comes out can stand in resolv.conf(5) and hosts(5) without more ado. */

#include "bus/options.h"

int option_dns(OptionReader *o, void *target);         /* addresses */
int option_dns_search(OptionReader *o, void *target);  /* domains; "." alone: none */
int option_dns_options(OptionReader *o, void *target); /* "ndots:2" */
int option_extra_hosts(OptionReader *o, void *target); /* "NAME:ADDRESS"; [::1] becomes ::1 */
