/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The registry that a job speaks with. Its configuration and our credentials are read before the
 * sandbox is entered, which closes the way to them. */

#include "image/registry.h"

typedef struct Remote {
        Registries *registries;
        Credentials *credentials;
        Registry *registry;
} Remote;

/* credentials_fd: who we are, if that comes with the job (it is closed); -1: what the configuration
 * says. Waits for the end of the credentials for a limited time, in which a signal ends us: nothing
 * was made yet. CTR_DEADLINE_EXCEEDED. */
int remote_load(Remote *r, int credentials_fd, Error *e);

/* Makes the registry of a reference. canceled lives longer. */
int remote_open(Remote *r, const Reference *reference, const atomic_bool *canceled, Error *e);

/* Makes the registry that people call host for a search with that term, which is the caller's; *ret
 * lives no longer than r. *ret_path is RegistrySearch.path, a new string. */
int remote_open_search(const Remote *r, const char *host, const char *term,
                       const atomic_bool *canceled, char **ret_path, Registry **ret, Error *e);

void remote_close(Remote *r);
