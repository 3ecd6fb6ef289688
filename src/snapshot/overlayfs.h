/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The overlayfs snapshotter's directories: <store>/snapshots/overlayfs/<n>/, n being the snapshot's
 * row. `fs` is a layer's tree or an active snapshot's upper directory, `work` overlayfs's own,
 * `lower` an empty directory where there is no parent. Names with a dot in front belong to a worker
 * (docs/worker-protocol.md) or are doomed.
 */

#include "basic/error.h"

/* Makes the directories of active snapshot id. The upper directory gets owner and mode of the
 * parent's root, which it stands for. parent 0: none. On failure nothing is left. */
int overlayfs_prepare(int snapshots_fd, int64_t id, int64_t parent, Error *e);

/* Gives a complete tree that a worker left under name its place as snapshot id. */
int overlayfs_adopt(int snapshots_fd, const char *name, int64_t id, Error *e);

/* Renames snapshot id to ".doomed-<id>". One that is not there is no error. */
int overlayfs_doom(int snapshots_fd, int64_t id, Error *e);

/* What to mount for an active snapshot: chain is it and its ancestors, topmost first. New strings
 * with absolute paths, lower ones separated by ':'. */
int overlayfs_mount_paths(const char *store, const int64_t *chain, size_t n, char **ret_lower,
                          char **ret_upper, char **ret_work, Error *e);
