/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who we are to a registry: the files that podman, skopeo, buildah and docker share,
 * containers-auth.json(5). Read in this order, the first file with an entry for a repository wins:
 *
 *   $REGISTRY_AUTH_FILE              instead of all others
 *   $XDG_RUNTIME_DIR/containers/auth.json, or /run/containers/UID/auth.json
 *   $XDG_CONFIG_HOME/containers/auth.json, or ~/.config/containers/auth.json
 *   $DOCKER_CONFIG/config.json, or ~/.docker/config.json
 *
 * Of "auths" the members auth and identitytoken are used. An entry is for a registry or for a path
 * of repositories there ("host:5000/team"); the longest one counts. Programs that keep secrets
 * (credHelpers, credsStore) are not asked.
 *
 * Invariant: a secret is in no error text, and its memory is cleared before it is given back.
 */

#include "basic/error.h"

typedef struct Credential {
        char *username, *password;
        char *identity_token; /* instead of the two */
} Credential;

typedef struct Credentials Credentials;

/* Reads the files. Missing ones are no error. CTR_INVALID_ARGUMENT names file and member. */
int credentials_load(Credentials **ret, Error *e);
Credentials *credentials_free(Credentials *c);
DEFINE_CLEANUP(Credentials *, credentials_free);

/* Adds the entries of one document; text is cleared. file names it in errors. */
int credentials_parse(Credentials **c, char *text, size_t size, const char *file, Error *e);

/* One credential for every registry, from {"username": s, "password": s} or {"identity_token": s};
 * text is cleared. */
int credentials_parse_single(char *text, size_t size, Credentials **ret, Error *e);

/* The entry for a repository, NULL if there is none. It lives as long as c. */
const Credential *credentials_find(const Credentials *c, const char *host, const char *repository);

/* The value of an Authorization header for name and password. *ret is to be cleared before it is
 * freed (_cleanup_secret_). */
int credential_basic(const Credential *credential, char **ret);

/* Frees a string after clearing it. */
void secret_freep(char **s);
#define _cleanup_secret_ _cleanup_(secret_freep)
