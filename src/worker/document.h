/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A manifest, index or config in memory, and reading one from the store. */

#include "image/manifest.h"

typedef struct Text {
        char *data; /* NUL-terminated */
        size_t size;
        char *media_type; /* what it came with; NULL: nothing was said */
} Text;

void text_clear(Text *t);

/* Compares with the digest that was asked for. CTR_DATA_LOSS; from names who delivered it. */
int text_check(const Text *t, const Digest *wanted, const char *from, Error *e);

/* Reads a document of the store and verifies it: CTR_NOT_FOUND, CTR_DATA_LOSS. */
int text_read_stored(int content_fd, const Digest *d, Text *ret, Error *e);
