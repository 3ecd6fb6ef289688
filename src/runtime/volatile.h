/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Overlays that are never synced (the mount option "volatile", overlayfs.rst): for containers whose
 * files nobody keeps. Without it the end of the last process in the mount namespace, init's that
 * is, waits until the kernel has synced the whole file system that the upper directory is on.
 *
 * The kernel marks the work directory of such a mount and refuses every later mount that finds the
 * mark: after a crash of the machine nobody knows what of the files is there. Here the directory
 * also says in which boot it was used, and within that boot the mark is taken away again: what the
 * page cache has is what was written.
 */

#include "basic/error.h"

/* To be called before the overlay with that work directory (absolute) is mounted.
 * CTR_FAILED_PRECONDITION if it was used before the last boot. */
int volatile_prepare(const char *work, bool is_volatile, Error *e);
