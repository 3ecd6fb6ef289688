/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files of credentials for registries, containers-auth.json(5): what login and logout write, and
 * what a user who is not root is to a registry, since the service reads only root's files.
 *
 * Invariant: a secret is in no error text, and its memory is cleared before it is given back.
 */

#include "basic/error.h"

typedef struct Login {
        char *username, *password;
        char *identity_token; /* instead of the two */
} Login;

void login_clear(Login *l);
#define _cleanup_login_ _cleanup_(login_clear)

/* Clears and frees a string. */
void secret_freep(char **s);
#define _cleanup_secret_ _cleanup_(secret_freep)

/* The file that login writes: $REGISTRY_AUTH_FILE; for root /run/containers/0/auth.json, which is
 * where the service looks; else containers/auth.json in $XDG_RUNTIME_DIR, or in ~/.config without
 * one. malloc'ed. */
int auth_file_default(char **ret, Error *e);

/* Whether the name of an image begins with the host of a registry. */
bool name_has_host(const char *name) _pure_;

/* What entries are for: "docker.io/library/nginx" of the image "nginx:1@sha256:...", "docker.io" of
 * the registry "https://index.docker.io/v1/". malloc'ed; NULL: out of memory. */
char *auth_scope_of_image(const char *name);
char *auth_scope_of_registry(const char *key);

/* What a file has for a wanted scope: the entry whose path is the longest that leads to it. ret is
 * untouched if there is none, or no file. */
int auth_file_find(const char *path, const char *wanted, Login *ret, Error *e);

/* The same of the user's files of containers-auth.json(5), in their order. */
int auth_files_find(const char *scope, Login *ret, Error *e);

/* Sets the entry of a registry (a scope), or takes it away if l is NULL (CTR_NOT_FOUND if there is
 * none). The file (0600) and its directory (0700) are made if missing; the file is replaced whole.
 * Other entries and members stay. */
int auth_file_store(const char *path, const char *registry, const Login *l, Error *e);
