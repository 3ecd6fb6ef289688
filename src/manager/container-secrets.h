/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The secrets of a container. Which ones, and as which files, is an annotation of its document. The
 * files are made for each task, in the task's directory, which is on the host's tmpfs, go when the
 * task ends, and are bound into the container to be read only: all of /run/secrets as one
 * directory, and files at other places by themselves. So the bytes are in no layer, image, archive,
 * version or checkpoint, and every runtime can do it. They have owners as the container sees them.
 */

#include "manager/container.h"

#define SECRETS_ANNOTATION "org.example.Ctr.secrets"
#define SECRETS_TARGET     "/run/secrets"
#define SECRETS_MAX        64U /* of a container */

/* Whether all of the request are there, and their owners are ids that the container has.
 * CTR_NOT_FOUND, CTR_INVALID_ARGUMENT. */
int container_secrets_check(const Container *c, const ContainerRequest *request, Error *e);

/* When the container has its row: they stay as long as it does. */
int container_secrets_hold(const Container *c, const ContainerRequest *request, Error *e);

/* The value of the annotation; *ret is NULL if there is none. 0 or -ENOMEM. */
int container_secrets_to_annotation(const ContainerRequest *request, char **ret);

/* Where the file of secret i will be, as an absolute path that is bound to *ret_destination; for
 * those in /run/secrets that is the directory. New strings. 0 or -ENOMEM. */
int container_secret_mount(const Manager *m, const ContainerRequest *request, size_t i,
                           char **ret_source, char **ret_destination);

/* Writes the files that a document names into the task's directory. CTR_FAILED_PRECONDITION if one
 * of the secrets is gone. */
int container_secrets_write(const Container *c, const char *document, int dir_fd, Error *e);

/* The task has ended: its files go, though its directory stays until it is deleted. */
void container_secrets_forget(int dir_fd);
