/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The root directory of a container, as a descriptor: that of a running one was opened by who
 * started us (--container-fd), so that its mounts are seen; that of a stopped one is put together
 * here from its layers, in a mount namespace that nobody is in. (A detached mount would not do: the
 * kernel counts letting go of one as a change of mounts, and then does not resolve ".." below a
 * root.)
 *
 * The topmost layers may be whole trees, of a snapshotter that copies: such a one is all that is
 * seen, and what it lies upon is what it was copied from.
 */

#include "snapshot/overlayfs.h"

typedef struct ContainerRoot {
        int fd;                               /* -1: not open */
        uint64_t layers[OVERLAYFS_LOWER_MAX]; /* topmost first, the first one is its own */
        size_t n_layers;
        const Snapshotter *trees; /* the snapshotter of the first n_trees */
        size_t n_trees;
        int lock_fd;      /* while it is written to; -1: it is not */
        int namespace_fd; /* keeps it mounted; -1: it is not ours */
} ContainerRoot;

#define CONTAINER_ROOT_NULL ((ContainerRoot){.fd = -1, .lock_fd = -1, .namespace_fd = -1})

/* --layers=N[,N...]: numbers of snapshots, topmost first; "native/N" for whole trees, which come
 * before the others. */
int container_root_parse_layers(ContainerRoot *c, const char *value, Error *e);

/* Opens the directory of the i-th layer by itself, below the open root of a store. CTR_NOT_FOUND.
 */
int container_root_open_layer(const ContainerRoot *c, size_t i, int root_fd, int *ret_fd, Error *e);

/* Makes c->fd from the layers from the skip-th on, below the store named root. With writable (and
 * skip 0) changes go to the first layer, which is locked against others who would mount it, until c
 * is cleared. Before the sandbox is entered; needs root. CTR_CONFLICT if it is locked,
 * CTR_NOT_FOUND if a layer is not there, CTR_FAILED_PRECONDITION for a volatile root that was used.
 */
int container_root_mount(ContainerRoot *c, const char *root, size_t skip, bool writable, Error *e);

/* Goes on to another mount namespace, in which the store is as it was before
 * container_root_mount(). What that opened stays. */
int container_root_leave(const char *root, Error *e);

void container_root_clear(ContainerRoot *c);
