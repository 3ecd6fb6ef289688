/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The root directory of a container, as a descriptor: that of a running one was opened by who
 * started us (--container-fd), so that its mounts are seen; that of a stopped one is put together
 * here from its layers, in a mount namespace that nobody is in. (A detached mount would not do: the
 * kernel counts letting go of one as a change of mounts, and then does not resolve ".." below a
 * root.)
 */

#include "snapshot/overlayfs.h"

typedef struct ContainerRoot {
        int fd;                               /* -1: not open */
        uint64_t layers[OVERLAYFS_LOWER_MAX]; /* topmost first, the first one is its own */
        size_t n_layers;
        int lock_fd;      /* while it is written to; -1: it is not */
        int namespace_fd; /* keeps it mounted; -1: it is not ours */
} ContainerRoot;

#define CONTAINER_ROOT_NULL ((ContainerRoot){.fd = -1, .lock_fd = -1, .namespace_fd = -1})

/* --layers=N[,N...]: numbers of snapshots, topmost first. */
int container_root_parse_layers(ContainerRoot *c, const char *value, Error *e);

/* Makes c->fd from the layers from the skip-th on, below the store named root. With writable (and
 * skip 0) changes go to the first layer, which is locked against others who would mount it, until c
 * is cleared. Before the sandbox is entered; needs root. CTR_CONFLICT if it is locked,
 * CTR_NOT_FOUND if a layer is not there, CTR_FAILED_PRECONDITION for a volatile root that was used.
 */
int container_root_mount(ContainerRoot *c, const char *root, size_t skip, bool writable, Error *e);

void container_root_clear(ContainerRoot *c);
