/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The container's root file system: an overlay of layers, or a directory. It exists only in init's
 * own mount namespace.
 */

#include "basic/error.h"

#define ROOTFS_LAYERS_MAX 500 /* the kernel's OVL_MAX_STACK */

typedef struct RootfsParameters {
        const char *lower; /* absolute directories, top first, separated by ':' */
        const char *upper; /* NULL: read-only */
        const char *work;  /* with upper */
        bool is_volatile;  /* see volatile.h */
        bool is_mapped;    /* all directories hold the container's ids, and are mapped by userns_fd:
                            * what is in the upper one is what a layer has. The caller gives its
                            * mount namespace up for that */
        int userns_fd;
        uid_t root_uid; /* the container's root as the host has it */
        gid_t root_gid;
        bool old_kernel; /* for tests: do as kernels before 6.5 need it */
} RootfsParameters;

/* The directory path (relative to bundle_fd) with all that is mounted below, as a detached mount.
 * To be called in the mount namespace that bundle_fd comes from: the kernel copies no mount of
 * another one. */
int rootfs_open_directory(int bundle_fd, const char *path, int *ret_fd, Error *e);

/* Mounts the layers; *ret_fd is the root directory. An overlay of one layer without an upper
 * directory is that layer, read-only. *ret_attached: it is attached already (kernels before 6.5).
 */
int rootfs_make_overlay(const RootfsParameters *p, int *ret_fd, bool *ret_attached, Error *e);

/* Attaches it: over /, where nobody looks before pivot_root(). It is private then, or a slave if
 * propagation is MS_SLAVE. */
int rootfs_attach(int root_fd, bool attached, unsigned long propagation, Error *e);

/* Makes root_fd the root directory, lets go of the old one with everything below, and sets the
 * propagation (MS_*; 0: private) of the root mount. no_pivot: where the old root is the kernel's
 * own, which cannot go, it stays below the new one. */
int rootfs_enter(int root_fd, unsigned long propagation, bool no_pivot, Error *e);
