/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The files in a tar archive of an image (an OCI archive, or what `docker save` writes), one after
 * the other, from a file or a pipe; the archive as a whole may be compressed by gzip or zstd. What
 * comes out of here was made by nobody knows whom: names are text, and nothing is ever made under
 * them.
 *
 * Invariant: names and targets of links have no "." and ".." components and do not start with a
 * slash; entries, their names and all their data are bounded.
 */

#include <stdatomic.h>

#include "basic/error.h"

typedef struct ImageArchive ImageArchive;

typedef struct ImageArchiveEntry {
        const char *name;
        const char *link; /* another entry's name; NULL: a regular file */
        uint64_t size;
} ImageArchiveEntry;

/* Starts to read from fd, until *canceled becomes true (CTR_CANCELED). fd stays the caller's. */
int image_archive_open(int fd, const atomic_bool *canceled, ImageArchive **ret, Error *e);
ImageArchive *image_archive_free(ImageArchive *a);
DEFINE_CLEANUP(ImageArchive *, image_archive_free);

/* Goes to the next file or link; directories are passed over. ret->name is NULL at the end; it
 * is valid until the next call. CTR_DATA_LOSS for what is no archive or truncated,
 * CTR_INVALID_ARGUMENT for entries that no image has, CTR_RESOURCE_EXHAUSTED. */
int image_archive_next(ImageArchive *a, ImageArchiveEntry *ret, Error *e);

/* The next piece of the current file, at most size bytes; *ret_size is 0 at its end. */
int image_archive_read(ImageArchive *a, void *buffer, size_t size, size_t *ret_size, Error *e);

/* Reads from a file or pipe, and gives up when *canceled becomes true. *ret_size is 0 at the end.
 */
int fd_read_canceled(int fd, void *buffer, size_t size, const atomic_bool *canceled,
                     size_t *ret_size, Error *e);
