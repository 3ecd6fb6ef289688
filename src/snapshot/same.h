/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether two files are the same, as far as a layer could tell. */

#include <stdatomic.h>
#include <sys/stat.h>

#include "basic/error.h"

/* A file that was looked at. A descriptor with O_PATH will do. */
typedef struct SameFile {
        int fd;
        const struct stat *st;
} SameFile;

/* Compares type, owner, mode, time, device, and the extended attributes that belong to a layer.
 * path is for the sentence of an error: -errno. */
int same_attributes(const SameFile *a, const SameFile *b, const char *path, bool *ret, Error *e);

/* Compares that, and what is in a regular file or a link. CTR_CANCELED, too. */
int same_file(const SameFile *a, const SameFile *b, const char *path, const atomic_bool *canceled,
              bool *ret, Error *e);
