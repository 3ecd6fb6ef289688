/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much of the disk is used for what (`system df`). The sums over the database come from a
 * thread (manager/reader.h), those over directories with few entries from the directories. */

#include "manager/db-gc.h"

typedef struct Usage {
        DbUsage rows;
        uint64_t ingest_bytes, quarantine_bytes;
} Usage;

/* usage is NULL if r is not 0. */
typedef void (*UsageDone)(int r, const Error *e, const Usage *usage, void *userdata);

/* namespace NULL: all. done is called once, also with -ESHUTDOWN when the manager ends. */
int usage_read(Manager *m, const char *namespace, UsageDone done, void *userdata, Error *e);

/* All that are under way end now. */
void usages_cancel(Manager *m);
