/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The name of content: an algorithm and the hash in lower-case hexadecimal ("Digests" in the OCI
 * image specification's descriptor.md). Only the registered algorithms that we can verify are
 * accepted. Computing them is in image/hash.h, so that who only handles names needs no OpenSSL.
 *
 * Invariant: hex holds exactly as many digits as the algorithm has; it is safe as a file name.
 */

#include "basic/error.h"

typedef enum DigestAlgorithm {
        DIGEST_SHA256,
        DIGEST_SHA512,
        _DIGEST_ALGORITHM_MAX,
} DigestAlgorithm;

#define DIGEST_HEX_MAX     128
#define DIGEST_STRING_SIZE (STRLEN("sha512:") + DIGEST_HEX_MAX + 1)

typedef struct Digest {
        DigestAlgorithm algorithm;
        char hex[DIGEST_HEX_MAX + 1];
} Digest;

/* 0; CTR_INVALID_ARGUMENT for what is no digest, CTR_NOT_IMPLEMENTED for another algorithm. */
int digest_parse(const char *s, Digest *ret, Error *e);

/* "sha256:<hex>". Returns buf. */
const char *digest_to_string(const Digest *d, char buf[static DIGEST_STRING_SIZE]);

bool digest_equal(const Digest *a, const Digest *b) _pure_;

/* "sha256" */
const char *digest_algorithm_to_string(DigestAlgorithm a) _const_;

/* The number of hexadecimal digits. */
size_t digest_hex_length(DigestAlgorithm a) _const_;

/* Formats a digest in place, for error texts: lives until the end of the enclosing block. */
#define DIGEST_STRING(d) digest_to_string((d), (char[DIGEST_STRING_SIZE]){})
