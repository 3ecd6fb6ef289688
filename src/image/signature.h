/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Signatures of images as sigstore's cosign attaches them, and podman and skopeo with
 * --sign-by-sigstore-private-key: beside the manifest sha256:<hex> its repository has one with the
 * tag "sha256-<hex>.sig", each of whose layers is a signed statement (a "simple signing" payload
 * in JSON) with the signature of its bytes in an annotation. The statement names the manifest's
 * digest and the image's reference.
 *
 * Invariant: what comes out of a statement was in bytes that a trusted key has signed; nothing of
 * it is read before.
 */

#include "image/digest.h"

#define SIGNATURES_MAX        100 /* of one manifest */
#define SIGNATURE_PAYLOAD_MAX (64 * 1024)
#define SIGNATURE_TAG_SIZE    (DIGEST_STRING_SIZE + STRLEN(".sig"))

/* One that a manifest of signatures lists. */
typedef struct Signature {
        Digest digest; /* of the statement, a blob */
        uint64_t size;
        char *base64;  /* the signature; NULL: there was none, or one that is far too long */
        char *payload; /* the statement; NULL: not fetched */
} Signature;

typedef struct Signatures {
        Signature *items;
        size_t n;
} Signatures;

/* What a statement says. */
typedef struct SignedStatement {
        Digest digest;   /* of a manifest */
        char *reference; /* any text */
} SignedStatement;

/* "sha256-<hex>.sig". Returns buf. */
const char *signature_tag(const Digest *manifest, char buf[static SIGNATURE_TAG_SIZE]);

/* Reads the manifest of signatures; entries of other kinds (attestations) are left out.
 * CTR_INVALID_ARGUMENT, CTR_RESOURCE_EXHAUSTED for more than SIGNATURES_MAX or for a statement that
 * is too large. */
int signatures_parse(const char *data, size_t size, Signatures *ret, Error *e);
void signatures_clear(Signatures *s);

/* Public keys, of which one has to have signed. */
typedef struct SignatureKeys SignatureKeys;

/* Adds a key (may begin with *keys NULL): ECDSA, RSA or Ed25519, in PEM. CTR_FAILED_PRECONDITION
 * for what is none; where names it in the error. */
int signature_keys_add(SignatureKeys **keys, const char *pem, size_t size, const char *where,
                       Error *e);
SignatureKeys *signature_keys_free(SignatureKeys *k);
DEFINE_CLEANUP(SignatureKeys *, signature_keys_free);

/* Verifies a signature whose payload (of s->size bytes) is there, and reads what was signed.
 * CTR_PERMISSION_DENIED for one that none of the keys has made, or for a statement that is none. */
int signature_verify(const Signature *s, const SignatureKeys *keys, SignedStatement *ret, Error *e);

/* The statement alone, of bytes that were verified. CTR_PERMISSION_DENIED. */
int signed_statement_parse(const char *data, size_t size, SignedStatement *ret, Error *e);
void signed_statement_clear(SignedStatement *s);
