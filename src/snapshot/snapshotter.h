/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a kind of snapshots can do: how the directory of one is made, and how it is mounted. Records
 * of snapshots, and the rules between them, are elsewhere (manager/snapshot.h).
 *
 *   overlayfs  a snapshot is what differs from its parents; made at once, mounted as an overlay
 *   native     a snapshot is a whole tree; made by a copy, which takes time and where the file
 *              system can share no space; mounted by a bind mount, on any file system
 *
 * All keep their directories below <root>/snapshots/<name>/ in the form that overlayfs.h describes
 * (<n>/fs and the names with a dot), and share its functions for that. The extracted layers of
 * images are of the form overlayfs wants, and are with it.
 */

#include "basic/error.h"

#define SNAPSHOTS_DIRECTORY "snapshots" /* of all of them, below the root of the store */

/* A snapshot and what it lies upon. */
typedef struct SnapshotStack {
        const char *root; /* of the store, absolute */
        const char *link; /* a short path that leads to <root>/snapshots/overlayfs; NULL: none */
        uint64_t n;
        bool view;
        const uint64_t *parents; /* topmost first */
        size_t n_parents;
} SnapshotStack;

/* As containerd's: mount(8) is "mount -t TYPE -o OPTIONS,... SOURCE WHERE". All are owned. */
typedef struct SnapshotMount {
        char *type, *source;
        char **options;
} SnapshotMount;

/* NULL-safe, frees the array, too. */
SnapshotMount *snapshot_mounts_free(SnapshotMount *mounts, size_t n);

/* "TYPE", "SOURCE", OPTION...; takes over source and options, also on failure. */
int snapshot_mount_fill(SnapshotMount *m, const char *type, char *source, char **options);

/* A bind mount of <root>/<directory>/<n>/fs. */
int snapshot_mount_bind(const char *root, const char *directory, uint64_t n, bool read_only,
                        SnapshotMount *ret);

typedef struct Snapshotter {
        const char *name;
        const char *directory; /* below the root of the store: "snapshots/<name>" */
        bool copies;           /* a snapshot with a parent needs a tree, made beforehand */

        /* Whether it works in this directory. CTR_NOT_IMPLEMENTED with the reason if not. */
        int (*check)(int dir_fd, Error *e);

        /* Makes the directory of an active snapshot or a view. parent 0: none. tree: if it copies
         * and there is a parent, the name of a complete tree in dir_fd (".new-..."), which becomes
         * the snapshot's; else NULL. */
        int (*prepare)(int dir_fd, uint64_t n, uint64_t parent, const char *tree, Error *e);

        int (*mount)(const SnapshotStack *stack, SnapshotMount *ret, Error *e);
} Snapshotter;

#define SNAPSHOTTER_DEFAULT "overlayfs"
#define SNAPSHOTTER_LAYERS  "overlayfs" /* of images */
#define SNAPSHOTTERS_MAX    2

/* The snapshotters, the default first; NULL beyond the last. */
const Snapshotter *snapshotter_get(size_t i) _pure_;

/* By name; NULL if there is none. */
const Snapshotter *snapshotter_find(const char *name) _pure_;
