/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writes a tar archive of regular files to a file or a pipe. Equal names and data give equal bytes:
 * owner, mode and time are always the same.
 */

#include <stdatomic.h>

#include "basic/error.h"

typedef struct ImageWriter ImageWriter;

/* Writes to fd (the caller's), until *canceled becomes true (CTR_CANCELED). */
int image_writer_new(int fd, const atomic_bool *canceled, ImageWriter **ret, Error *e);
ImageWriter *image_writer_free(ImageWriter *w);
DEFINE_CLEANUP(ImageWriter *, image_writer_free);

/* Begins the next file. Exactly so many bytes of data have to follow. */
int image_writer_begin(ImageWriter *w, const char *name, uint64_t size, Error *e);
int image_writer_data(ImageWriter *w, const void *data, size_t size, Error *e);

/* Both in one. */
int image_writer_file(ImageWriter *w, const char *name, const void *data, size_t size, Error *e);

/* Writes the end of the archive. */
int image_writer_finish(ImageWriter *w, Error *e);
