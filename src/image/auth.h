/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The challenge of a registry that wants to know who asks (RFC 9110, section 11.6.1), and the
 * bearer token that anonymous users get for it. Credentials are not handled here yet.
 */

#include "image/http.h"

typedef struct Challenge {
        bool bearer; /* otherwise another scheme, as Basic */
        char *realm, *service, *scope;
} Challenge;

/* Parses the value of a WWW-Authenticate header with one challenge. CTR_UNAVAILABLE if it cannot be
 * understood. */
int challenge_parse(const char *s, Challenge *ret, Error *e);
void challenge_clear(Challenge *c);

/* Asks the realm for a token. template gives what is allowed (plain HTTP, cancel). *ret is the
 * value of an Authorization header. */
int challenge_get_token(const Challenge *c, Http *http, const HttpRequest *template, char **ret,
                        Error *e);
