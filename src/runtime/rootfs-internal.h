/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the overlay of a root file system (rootfs.c) and the mapping of its layers (rootfs-map.c)
 * need of each other. */

#include <limits.h>

#include "runtime/rootfs.h"

/*
 * Layer lists are long (128 layers are usual, 500 possible) and the kernel's interfaces for them
 * short: fsconfig() takes 255 bytes per string, mount(2) one page for all. So the layers are named
 * relative to the directory that is common to all of them, which becomes the working directory
 * meanwhile.
 */
typedef struct Layers {
        char *text;                           /* a copy of lower, cut at the separators */
        const char *names[ROOTFS_LAYERS_MAX]; /* relative to base, or absolute */
        size_t n;
        char base[PATH_MAX]; /* "" if they have nothing in common */
        const char *upper, *work;
        bool is_volatile;
        char short_names[ROOTFS_LAYERS_MAX][4]; /* of mapped layers */
        char *mapped_upper, *mapped_work;
} Layers;

/* Length of the common directory of a and the first n bytes of b, its slash included. */
size_t common_directory(const char *a, const char *b, size_t n) _pure_;

/* Mounts the overlay; names are relative to the working directory. */
int overlay_make(const Layers *l, const RootfsParameters *p, int *ret_fd, bool *ret_attached,
                 Error *e);

/* The names become those of mapped copies in the working directory, which is of no other use and in
 * a mount namespace that ends with this process. */
int layers_map(Layers *l, const RootfsParameters *p, Error *e);

/* The same as overlay_make(), for mapped layers. */
int overlay_make_mapped(const Layers *l, const RootfsParameters *p, int *ret_fd, bool *ret_attached,
                        Error *e);

/* After that: takes the copies away. The overlay has its own, and is a detached mount then. */
int layers_unmap(int *fd, bool *attached, Error *e);
