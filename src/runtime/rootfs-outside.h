/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A container's root file system for a program of the host that starts from a directory (criu,
 * another runtime): in a mount namespace that ends with the program and with what it starts.
 */

#include "runtime/rootfs.h"

/* Gives the caller a mount namespace of its own, which gets the host's mounts and gives none back,
 * and makes the root as a detached, private mount. With p->lower the overlay; without it the
 * directory path, relative to bundle_fd. */
int rootfs_make_outside(const RootfsParameters *p, int bundle_fd, const char *path, int *ret_fd,
                        Error *e);

/* Mounts it on the directory target, an absolute path without a link at its end. */
int rootfs_attach_outside(int root_fd, const char *target, Error *e);
