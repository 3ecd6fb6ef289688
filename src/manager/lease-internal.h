/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between leases (lease.c) and those of jobs (lease-job.c). */

#include "manager/lease.h"

/* Waits for the one that expires first. */
int leases_schedule(Leases *l, Error *e);

/* The row goes, and what it held becomes garbage if nothing else holds it: blobs without a record,
 * which only leases know, are handed to the sweeper by name. */
int lease_end(Manager *m, const char *namespace, const char *id, Error *e);

/* One that should have ended could not, as when the disk is full; and the next try, if so, with
 * each job that ends and each collection. */
void leases_forsake(Leases *l);
int leases_end_forsaken(Leases *l, Error *e);

int lease_random_id(char **ret);
