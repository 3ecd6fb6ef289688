/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Directories that a layer has only because it has something in them show, when the layers are
 * stacked, their own attributes and not those of the same directory below. So they get those, as
 * soon as the layers below are complete.
 */

#include "basic/error.h"

/* Copies owner, mode, time of modification and extended attributes (but overlayfs's own) of one
 * directory to another. */
int attributes_copy(int from_fd, int to_fd, Error *e);

/* Gives each of the directories in implied (see ApplyResult) of the layer at fs_fd the attributes
 * that it has in the stack of layers below, nearest first; one that is not there, or hidden by a
 * whiteout or an opaque directory, keeps its own. */
int layer_inherit(int fs_fd, char *const *implied, const int *lower_fds, size_t n_lower, Error *e);
