/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Directories that a layer has only because it has something in them show, when the layers are
 * stacked, their own attributes and not those of the same directory below. So they get those, as
 * soon as the layers below are complete.
 *
 * The same is the time for other things that a layer cannot have by itself: the content of lower
 * files that it links to, hiding the whole root, for which overlayfs knows no mark, and knowing
 * which of its whiteouts hide anything.
 */

#include "snapshot/apply.h"

/* Copies owner, mode, time of modification and extended attributes (but overlayfs's own) of one
 * directory or file to another. */
int attributes_copy(int from_fd, int to_fd, Error *e);

/* Looks for a directory in one layer. 1 and its descriptor; 0 if the layers below may have it;
 * -ENOENT if it is hidden from them. *ret_opaque (set with 1) says whether what it does not have is
 * hidden from them. */
int layer_find_directory(int fs_fd, const char *path, int *ret_fd, bool *ret_opaque);

/* Fills the files that layer_apply() has left in links_fd for result->links, with what the stack of
 * lower layers has there, and removes their names from links_fd. What is copied is counted in
 * result, and bounded by limits->bytes in all. CTR_INVALID_ARGUMENT if a target is not there or no
 * regular file. */
int layer_inherit_links(int fs_fd, int links_fd, const ApplyLimits *limits, const int *lower_fds,
                        size_t n_lower, ApplyResult *result, Error *e);

/* If the root of the layer is opaque, hides by name what the lower layers have there. */
int layer_inherit_opaque_root(int fs_fd, const int *lower_fds, size_t n_lower, ApplyResult *result,
                              Error *e);

/* All of it, for what layer_apply() said about the layer at fs_fd; the lower layers are complete,
 * nearest first:
 *  - layer_inherit_links() and layer_inherit_opaque_root();
 *  - each implied directory gets the attributes that it has in the stack below; one that is not
 *    there, or hidden by a whiteout or an opaque directory, keeps its own;
 *  - whiteouts go where no lower layer has the directory, as overlayfs would list their names. */
int layer_inherit(int fs_fd, int links_fd, const ApplyLimits *limits, const int *lower_fds,
                  size_t n_lower, ApplyResult *result, Error *e);
