/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The certificates for one registry: what containers-certs.d(5) describes, in
 * /etc/containers/certs.d/HOST[:PORT]/ and, where that is missing, /etc/docker/certs.d/HOST[:PORT]/
 * ($CTR_CERTS_DIR/HOST[:PORT]/ alone where it is set). *.crt are trusted authorities, besides the
 * system's; NAME.cert is our own certificate and NAME.key its key.
 */

#include "basic/error.h"

typedef struct Certificates {
        char *ca;     /* all authorities, PEM; NULL: none */
        char *client; /* path; NULL: none */
        char *key;
} Certificates;

/* Missing directories are no error, and neither is one that has nothing for us.
 * CTR_INVALID_ARGUMENT for a certificate without its key. */
int certificates_load(const char *host, Certificates *ret, Error *e);
void certificates_clear(Certificates *c);
