/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The overlayfs snapshotter's directories, below <root>/snapshots/overlayfs/:
 *
 *   <n>/fs             a committed layer, or the upper directory of an active snapshot
 *   <n>/work           the work directory of an active snapshot
 *   .tmp-<pid>-<n>/    a layer while it is extracted, a snapshot while it is prepared
 *   .new-<pid>-<random>/  a complete layer on its way from the worker to the manager
 *   .doomed-<random>/  what is to be removed
 *
 * <n> is given by who keeps the records; a name with a dot is nobody's after a restart, unless who
 * made it has written that down elsewhere.
 * Invariant: what has its final name is complete. Nothing here mounts anything.
 */

#include "basic/error.h"
#include "snapshot/snapshotter.h"

#define OVERLAYFS_DIRECTORY SNAPSHOTS_DIRECTORY "/overlayfs"
#define OVERLAYFS_NAME_SIZE 64
#define OVERLAYFS_LOWER_MAX 200 /* what a snapshot may lie upon */
/* of what a process makes: its pid and a dash follow */
#define OVERLAYFS_TEMPORARY_PREFIX ".tmp-"
#define OVERLAYFS_PUBLISHED_PREFIX ".new-"
#define OVERLAYFS_DOOMED_PREFIX    ".doomed-"

/* Opens <root>/snapshots/overlayfs, making it where missing. Descriptor or -errno. */
int overlayfs_open(int root_fd);

/* Makes a temporary directory with an empty fs/ in it. */
int overlayfs_create(int dir_fd, char ret_name[static OVERLAYFS_NAME_SIZE], int *ret_fs_fd,
                     Error *e);

/* Opens links/ of a temporary directory, for layer_apply() and layer_inherit_links(), making it
 * where it is missing. */
int overlayfs_open_links(int dir_fd, const char *temporary, int *ret_fd, Error *e);

/* Removes it. */
int overlayfs_remove_links(int dir_fd, const char *temporary, Error *e);

/* Gives a complete temporary directory a name of the form .new-<pid>-<random>. Nothing is synced.
 */
int overlayfs_publish(int dir_fd, const char *temporary, char ret_name[static OVERLAYFS_NAME_SIZE],
                      Error *e);

/* Gives what the worker published its final name. CTR_NOT_FOUND if it is not there,
 * CTR_ALREADY_EXISTS if the number is taken. */
int overlayfs_adopt(int dir_fd, const char *published, uint64_t n, Error *e);

/* Opens the tree of snapshot <n>, <n>/fs. CTR_NOT_FOUND if it is not there. */
int overlayfs_open_tree(int dir_fd, uint64_t n, int *ret_fd, Error *e);

/* Makes an active snapshot <n> with fs/ and work/. Its root directory gets owner, mode, time and
 * extended attributes of the parent's (0: none, then root:root 0755), since overlayfs shows those
 * of the topmost directory. CTR_NOT_FOUND if the parent is not there, CTR_ALREADY_EXISTS if n is.
 */
int overlayfs_prepare(int dir_fd, uint64_t n, uint64_t parent, Error *e);

/* Exchanges the tree of snapshot <n>, which nothing may have mounted, with that of a temporary
 * directory, <name>/fs, in one step: again, and all is as before. CTR_NOT_FOUND if one of the two
 * is not there. */
int overlayfs_exchange(int dir_fd, uint64_t n, const char *name, Error *e);

/* Takes snapshot <n> out of sight in one step; what is left is for overlayfs_remove(). A missing
 * one is no error. */
int overlayfs_doom(int dir_fd, uint64_t n, Error *e);

/* The same for a directory of any name, which nothing refers to. */
int overlayfs_discard(int dir_fd, const char *name, Error *e);

/* Removes the tree of a doomed snapshot (a name that starts with ".doomed-"), or any directory
 * without a final name: CTR_INVALID_ARGUMENT for another one. Takes its time. */
int overlayfs_remove(int dir_fd, const char *name, Error *e);

/* True for the names of directories that are nobody's after a restart. */
bool overlayfs_name_is_temporary(const char *name) _pure_;

/* "<root>/snapshots/overlayfs/<n>/<what>". NULL if out of memory. */
char *overlayfs_path(const char *root, uint64_t n, const char *what);

/* The value of overlayfs's lowerdir option for a chain of snapshots, topmost first, with ':' and
 * '\' in root escaped. NULL if out of memory. */
char *overlayfs_lowerdir(const char *root, const uint64_t *chain, size_t n_chain);

/* Whether overlayfs can use this directory for upper directories, and the privileges for its
 * markers are there. CTR_NOT_IMPLEMENTED with the reason if not. */
int overlayfs_check(int dir_fd, Error *e);

/* How mount(8) is told about a snapshot, see snapshot/snapshotter.h: the overlay of its parents
 * with its own tree on top, or a bind mount where there is only one tree. */
int overlayfs_mount(const SnapshotStack *stack, SnapshotMount *ret, Error *e);
