/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The challenge of a registry that wants to know who asks (RFC 9110, section 11.6.1), and the
 * answer to it: name and password, or a bearer token from the server that the challenge names,
 * which anonymous users may get as well.
 */

#include "image/credentials.h"
#include "image/http.h"

typedef struct Challenge {
        bool bearer; /* otherwise another scheme, as Basic */
        char *realm, *service, *scope;
} Challenge;

/* Parses the value of a WWW-Authenticate header with one challenge. CTR_UNAVAILABLE if it cannot be
 * understood. */
int challenge_parse(const char *s, Challenge *ret, Error *e);
void challenge_clear(Challenge *c);

/* *ret is the value of an Authorization header, a secret. credential may be NULL; template gives
 * what is allowed (plain HTTP, TLS, cancel). CTR_PERMISSION_DENIED if the registry (host names it)
 * wants credentials that we do not have, or the token server refuses them. */
int challenge_answer(const Challenge *c, const Credential *credential, const char *host, Http *http,
                     const HttpRequest *template, char **ret, Error *e);
