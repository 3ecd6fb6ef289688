/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files that only save time, written by several processes at once. Invariant: a name shows a file
 * that one of them wrote whole, or none.
 */

#include <sys/uio.h>

#include "basic/macro.h"

/* Writes the parts into dir_fd/name, instead of what is there. Who loses a race to somebody else
 * leaves his: both are right. 0 or -errno. Needs a /proc of its own pid namespace. */
int cache_file_write(int dir_fd, const char *name, const struct iovec *parts, size_t n_parts);
