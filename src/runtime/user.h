/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who the program runs as. The document has numbers; the annotation SPEC_USER_ANNOTATION has what
 * an image or a request says, "name|uid[:group|gid]", and is looked up in /etc/passwd and
 * /etc/group of the root file system, which are as untrusted as the rest of it.
 */

#include "runtime/spec.h"

typedef struct User {
        uid_t uid;
        gid_t gid;
        gid_t *gids; /* supplementary */
        size_t n_gids;
        char *home; /* NULL: not looked for, because the environment has HOME */
} User;

/* CTR_NOT_FOUND for a name that is in neither file, CTR_INVALID_ARGUMENT for a number that is not
 * in 0..2^31-1 or a malformed annotation. With want_home, home is set ("/" if none is known). */
int user_resolve(int root_fd, const SpecUser *spec, bool want_home, User *ret, Error *e);

void user_clear(User *u);
