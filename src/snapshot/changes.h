/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a snapshot changes of the tree below it: a list for people. Of an upper directory of
 * overlayfs every file that it has is a change; of a whole tree every file that is another one
 * (snapshot/compare.h). Every directory with something changed in it is one, too.
 */

#include <stdatomic.h>

#include "basic/error.h"

typedef enum ChangeKind {
        CHANGE_ADDED = 'A',
        CHANGE_MODIFIED = 'C',
        CHANGE_DELETED = 'D',
} ChangeKind;

/* path is absolute. 0, or an error that ends the list. */
typedef int (*ChangeFunction)(void *userdata, ChangeKind kind, const char *path, Error *e);

/* Calls f for each change, a directory before what is in it and names in their order. lower_fd is
 * the root of the tree below, as it is seen without the upper directory; -1: it is empty.
 * CTR_RESOURCE_EXHAUSTED as layer_diff(), CTR_CANCELED, f's error, -errno. */
int layer_changes(int upper_fd, int lower_fd, const atomic_bool *canceled, ChangeFunction f,
                  void *userdata, Error *e);

/* The same for a whole tree. */
int tree_changes(int upper_fd, int lower_fd, const atomic_bool *canceled, ChangeFunction f,
                 void *userdata, Error *e);
