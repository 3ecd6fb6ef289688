/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Secrets: a few bytes with a name in its namespace, which containers get as files and nobody gets
 * back. The row has what may be told of one; the bytes are in a file that has the row's number, in
 * a directory that only root can enter. They come by a descriptor, go into the directories of tasks
 * (container-secrets.h), and are in no message, property, event, document or log line.
 *
 * Invariant: a secret that a container names stays as long as the container is there, and a file
 * without a row goes at the next start.
 */

#include <jansson.h>

#include "manager/object.h"

#define SECRET_BYTES_MAX  (512U * 1024U) /* as podman has it */
#define SECRETS_DIRECTORY "secrets"      /* below the state directory */

typedef struct Secret {
        int64_t id;
        char *namespace, *name;
        json_t *labels;
        uint64_t created_at;
} Secret;

Secret *secret_free(Secret *s);
DEFINE_CLEANUP(Secret *, secret_free);

/* Durable when it returns. fd stays the caller's: a file in memory that is sealed against every
 * change (memfd_create(2)), of 1 to SECRET_BYTES_MAX bytes, which can be read without waiting for
 * anybody. CTR_INVALID_ARGUMENT, CTR_ALREADY_EXISTS. */
int secret_create(Manager *m, const char *namespace, const char *name, json_t *labels, int fd,
                  Error *e);

/* CTR_NOT_FOUND with a sentence. */
int secret_find(Manager *m, const char *namespace, const char *name, Secret **ret, Error *e);

/* CTR_FAILED_PRECONDITION with the container that names it. */
int secret_remove(Manager *m, const char *namespace, const char *name, Error *e);

/* Its bytes into an open file, by the kernel: they are never in the manager's memory.
 * CTR_FAILED_PRECONDITION if the secret's own file is gone or damaged. */
int secret_copy(Manager *m, const Secret *s, int to_fd, Error *e);

/* At the start: files that have no row go, rows that have no file are reported. */
int secrets_recover(Manager *m, Error *e);
