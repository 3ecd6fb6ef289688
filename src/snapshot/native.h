/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The native snapshotter: plain directories <root>/snapshots/native/<n>/fs, each of them a whole
 * tree, for file systems that cannot have an overlay. The tree is a copy of the parent's (or of the
 * merged layers of an image) that a worker has made; it shares its blocks where the file system
 * can. Names with a dot are as in overlayfs.h.
 */

#include "snapshot/snapshotter.h"

#define NATIVE_DIRECTORY SNAPSHOTS_DIRECTORY "/native"

/* As those of Snapshotter. */
int native_check(int dir_fd, Error *e);
int native_prepare(int dir_fd, uint64_t n, uint64_t parent, const char *tree, Error *e);
int native_mount(const SnapshotStack *stack, SnapshotMount *ret, Error *e);
