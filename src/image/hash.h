/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Computing digests. The only header of image/ behind which OpenSSL's hashes stand. */

#include "image/digest.h"

typedef struct Hash Hash;

int hash_new(DigestAlgorithm algorithm, Hash **ret);
int hash_update(Hash *h, const void *data, size_t size);
/* Ends the computation; h can only be freed afterwards. */
int hash_final(Hash *h, Digest *ret);
Hash *hash_free(Hash *h);
DEFINE_CLEANUP(Hash *, hash_free);

/* The digest of a buffer. */
int hash_buffer(DigestAlgorithm algorithm, const void *data, size_t size, Digest *ret);

/* The digest of what an open file holds from its start to its end, read in pieces. */
int hash_file(DigestAlgorithm algorithm, int fd, Digest *ret);

/* ChainID of config.md: that of the layers up to the parent (NULL for the lowest layer) and this
 * layer on top. */
int hash_chain_id(const Digest *parent, const Digest *diff_id, Digest *ret);
