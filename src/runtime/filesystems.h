/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The document's mounts, in its order. Sources of bind mounts are host paths and are opened first,
 * before anything of the container is in place; destinations are resolved below the root. Below
 * /proc, /sys and /dev, and for the kernel's own file systems, no symbolic link is followed at all:
 * an image whose /proc is a link gets an error and not its masks at another place.
 *
 * A cgroup mount shows the cgroup namespace it is made in, which init has only after it was moved
 * to its cgroup: such mounts, and what lies below them, are "late".
 */

#include "runtime/rootfs.h"
#include "runtime/spec.h"

typedef struct Filesystems {
        const Spec *spec;
        int *sources; /* for each mount: the detached bind mount or mapped overlay, or -1 */
} Filesystems;

/* Opens all sources, relative ones below bundle_fd. userns_fd: with the mapping of the container's
 * ids, for idmapped mounts that have none of their own; -1 if no mount needs it. */
int filesystems_open(Filesystems *f, const Spec *spec, int bundle_fd, int userns_fd, Error *e);

/* After that and with the host's rights: overlays whose directories have the container's ids, see
 * rootfs.h for those. The caller gives its mount namespace up for them. */
int filesystems_open_overlays(Filesystems *f, const RootfsParameters *ids, Error *e);

/* Attributes and propagation of a mount; 0 or -errno. */
int mount_options_apply(int mount_fd, const MountOptions *o);

/* Whether one of the two needs a user namespace with the container's ids. */
bool filesystems_need_mapping(const Spec *spec) _pure_;

/* Mounts those that are late or those that are not, below root_fd. */
int filesystems_mount(Filesystems *f, int root_fd, bool late, Error *e);

/* Whether what is at path can only be there after the late mounts. */
bool filesystems_is_late(const Spec *spec, const char *path) _pure_;

void filesystems_clear(Filesystems *f);
