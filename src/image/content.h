/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The content store as its readers see it: content/<algorithm>/<hex> below the store's root holds
 * complete, verified blobs, named by their digest and never changed. Writing is in image/ingest.h.
 */

#include "image/digest.h"

#define CONTENT_DIRECTORY "content"
/* "sha512/<hex>" */
#define CONTENT_PATH_SIZE (STRLEN("sha512/") + DIGEST_HEX_MAX + 1)

/* Opens <root>/content, making it and its sub-directories where missing. Descriptor or -errno. */
int content_open(int root_fd);

/* The path of a blob below the content directory. Returns buf. */
const char *content_path(const Digest *d, char buf[static CONTENT_PATH_SIZE]);

/* Opens a blob for reading. 0, CTR_NOT_FOUND (which no text comes with), -errno; ret_size may be
 * NULL. */
int content_open_blob(int content_fd, const Digest *d, int *ret_fd, uint64_t *ret_size, Error *e);

/* Reads a small blob (a manifest, a config) of at most max bytes as NUL-terminated data. 0,
 * CTR_NOT_FOUND, CTR_RESOURCE_EXHAUSTED if larger, -errno. The digest is not computed again. */
int content_read_blob(int content_fd, const Digest *d, size_t max, char **ret_data,
                      size_t *ret_size, Error *e);

/* Removes a blob; a missing one is no error. */
int content_remove_blob(int content_fd, const Digest *d);
