/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of an archive: brought into one form (tree_clean_path() of snapshot/tree.h), and collected.
 */

#include "basic/error.h"

typedef struct PathList {
        char **paths; /* ends with NULL; NULL if there are none */
        size_t n, allocated;
} PathList;

/* Adds a copy. 0 or -ENOMEM. */
int path_list_add(PathList *l, const char *path);

/* Hands over what is in all and not in some, sorted, each once; "all" is empty then, and "some" is
 * sorted. 0 or -ENOMEM. */
int path_list_take_difference(PathList *all, PathList *some, char ***ret);
