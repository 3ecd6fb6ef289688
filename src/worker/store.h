/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The store that a job works in: its root, which is opened before the sandbox is entered, and what
 * is below it, which is opened afterwards. */

#include "basic/error.h"

typedef struct Store {
        const char *root; /* as it was named */
        int root_fd, content_fd, snapshots_fd;
} Store;

/* Opens the root, making it where missing. */
int store_open_root(Store *s, const char *root, Error *e);

/* Opens what is below the root. CTR_PERMISSION_DENIED if it is not writable,
 * CTR_FAILED_PRECONDITION if that is because the file system is read-only. */
int store_open(Store *s, Error *e);

/* Closes what is open; NULL-safe for a store that store_open_root() never saw, if it is
 * STORE_NULL. */
void store_close(Store *s);
#define STORE_NULL ((Store){.root_fd = -1, .content_fd = -1, .snapshots_fd = -1})
