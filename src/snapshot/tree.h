/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A directory tree that is filled from an archive nobody trusts. Every name is resolved below one
 * directory descriptor, by openat2() with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV:
 * nothing is made, changed or removed outside of it or through a symbolic link, whatever the
 * archive says. A link of the layer itself is resolved beforehand (snapshot/beneath.h).
 *
 * The tree is one layer in the form overlayfs wants for a lower directory: a removed name is a
 * character device 0/0, and a directory that hides what lies below has trusted.overlay.opaque=y.
 *
 * Invariant: a directory that was made only because something in it was named is in the list of
 * implied ones until the archive names it itself.
 */

#include "basic/error.h"

typedef struct Tree Tree;

/* A name in its directory. dir_fd stays valid until the next call with the same tree. */
typedef struct TreePlace {
        int dir_fd;
        const char *name;
} TreePlace;

#define TREE_DEPTH_MAX 256

/* dir_fd is the tree's root and stays the caller's; it must be empty. */
int tree_new(int dir_fd, Tree **ret);
Tree *tree_free(Tree *t);
DEFINE_CLEANUP(Tree *, tree_free);

/* Brings an archive's name to the form the other functions take: no slash at the start or end, no
 * empty or "." components; "" is the root. CTR_INVALID_ARGUMENT for ".." and for too long names,
 * CTR_RESOURCE_EXHAUSTED for more than TREE_DEPTH_MAX components. */
int tree_clean_path(const char *path, char **ret, Error *e);

/* Replaces a cleaned path by one of the same place whose parents are no symbolic links, as far as
 * the tree has them: links of the layer are followed with the tree as their root (so that "lib/x"
 * after "lib -> usr/lib" is "usr/lib/x"), and never out of it. The last component stays.
 * CTR_INVALID_ARGUMENT and CTR_RESOURCE_EXHAUSTED as tree_clean_path(), and for loops. */
int tree_resolve(Tree *t, char **path, Error *e);

/* The place of a cleaned path other than "". With make, missing parents are made (0755, root) and
 * listed as implied; without, CTR_NOT_FOUND without a text. CTR_INVALID_ARGUMENT if a parent is a
 * symbolic link or another thing that is no directory. */
int tree_find(Tree *t, const char *path, bool make, TreePlace *ret, Error *e);

/* Sees to it that nothing is at place. If a whiteout was there, *ret_whiteout is true. */
int tree_clear(Tree *t, const TreePlace *place, bool *ret_whiteout, Error *e);

/* Makes a directory at a cleaned path ("" for the root) or takes over the one that is there, which
 * is no implied one any more. *ret_fd is open for reading. */
int tree_make_directory(Tree *t, const char *path, int *ret_fd, Error *e);

/* Hides a lower name. Where this layer has something of that name already, only the lower one is
 * hidden: whiteouts do not concern their own layer (layer.md, "Whiteouts"). */
int tree_whiteout(Tree *t, const char *path, Error *e);

/* Hides everything that is in the lower directories of that path ("" for the root). */
int tree_opaque(Tree *t, const char *path, Error *e);

/* Hands over the paths of the implied directories, sorted, "" for a root that was not named. An
 * empty list may be NULL. Only once, at the end. */
int tree_take_implied(Tree *t, char ***ret);

/* Hands over the paths of the directories in which whiteouts were made; NULL if there are none. */
char **tree_take_hiding(Tree *t);

/* How many inodes were made, the root included. */
uint64_t tree_inodes(const Tree *t) _pure_;
void tree_count_inode(Tree *t);
