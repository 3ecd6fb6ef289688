/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The uncompressed bytes of a layer, pulled piece by piece from wherever the compressed ones come.
 * gzip (of several members, too), zstd (of several frames) and no compression. gzip is inflated by
 * ISA-L where it was built in, three to four times as fast as zlib.
 */

#include "image/manifest.h"

typedef struct Inflate Inflate;

/* Gives at most size compressed bytes: *ret_size is 0 at their end. 0, or an error set in e. */
typedef int (*InflateSource)(void *userdata, void *buf, size_t size, size_t *ret_size, Error *e);

/* What data starts with (at least 4 bytes of it, if there are so many). */
Compression compression_detect(const void *data, size_t size);

int inflate_new(Compression compression, InflateSource source, void *userdata, Inflate **ret);
Inflate *inflate_free(Inflate *i);
DEFINE_CLEANUP(Inflate *, inflate_free);

/* Fills buf with at most size uncompressed bytes; *ret_size is 0 only at the end. CTR_DATA_LOSS for
 * corrupt or truncated data, or the source's error. */
int inflate_read(Inflate *i, void *buf, size_t size, size_t *ret_size, Error *e);
