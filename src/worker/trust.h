/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether an image may come in, by the signature policy of the machine (image/policy.h). Policy and
 * keys are read before the sandbox is entered; what it refuses in any case is refused there, before
 * anybody is asked for anything. The rest is decided for each manifest when it has been verified:
 * of an index for the image of each platform that is wanted, as podman does.
 *
 * Invariant: nothing of an image that the policy does not accept is ever recorded, and no layer of
 * it is fetched.
 */

#include "image/policy.h"
#include "image/registry.h"
#include "image/signature.h"

typedef struct Trust {
        Policy *policy;           /* NULL: everything is accepted */
        const PolicyScope *scope; /* of the reference that is pulled */
        SignatureKeys **keys;     /* for each of the scope's requirements; NULL: it needs none */
} Trust;

/* For a pull. CTR_FAILED_PRECONDITION for a damaged policy or key, CTR_PERMISSION_DENIED for an
 * image that is not wanted whoever signed it, CTR_NOT_IMPLEMENTED if the policy asks for what we
 * cannot check. t is to be cleared also after a failure. */
int trust_load(Trust *t, const Reference *reference, Error *e);

/* For an import. */
int trust_load_policy(Trust *t, Error *e);
void trust_clear(Trust *t);

/* An image as it is at the registry: its manifest, verified, and the reference that was asked for.
 * Fetches its signatures if the policy needs any. CTR_PERMISSION_DENIED with the reason; or why
 * they cannot be had. */
typedef struct TrustImage {
        const Reference *reference;
        const Digest *digest;
        const char *data; /* of size bytes */
        size_t size;
} TrustImage;

int trust_check_image(const Trust *t, const TrustImage *image, Registry *registry, Http *http,
                      Error *e);

/* An archive of that kind ("oci-archive"), which has no signatures. Errors as of trust_load(). */
int trust_check_archive(const Trust *t, const char *transport, Error *e);
