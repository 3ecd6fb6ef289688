/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The inverse of inflate.h: the compressed bytes of a layer, pushed piece by piece to wherever they
 * go. Equal data gives equal bytes: gzip without a name and a time.
 */

#include "image/manifest.h"

typedef struct Deflate Deflate;

/* Takes the next compressed piece. 0, or an error set in e. */
typedef int (*DeflateSink)(void *userdata, const void *data, size_t size, Error *e);

int deflate_new(Compression compression, DeflateSink sink, void *userdata, Deflate **ret);
Deflate *deflate_free(Deflate *d);
DEFINE_CLEANUP(Deflate *, deflate_free);

/* The sink's error, or -ENOMEM. */
int deflate_write(Deflate *d, const void *data, size_t size, Error *e);

/* Once, at the end. */
int deflate_finish(Deflate *d, Error *e);
