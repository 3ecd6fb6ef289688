/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files with several names, in a tree and in the one it was made from: which of them are still the
 * same files. Each name that both trees have pairs two files. Where a file would be paired with two
 * others, or a name has nothing to be paired with, links were made or broken: the file is changed,
 * whatever is in it.
 */

#include <sys/stat.h>

#include "basic/macro.h"

typedef struct LinkedFiles LinkedFiles;

int linked_files_new(LinkedFiles **ret);
LinkedFiles *linked_files_free(LinkedFiles *l);
DEFINE_CLEANUP(LinkedFiles *, linked_files_free);

/* Whether the pair is one for this list; lower NULL: the name has none. */
bool linked_concerns(const struct stat *upper, const struct stat *lower) _pure_;

/* A name's pair; lower NULL: there is no file of that name. *ret_first: it is the first time that
 * the upper file is seen, and it is unchanged so far. 0 or -ENOMEM. */
int linked_pair(LinkedFiles *l, const struct stat *upper, const struct stat *lower,
                bool *ret_first);

/* What is in the file, or of its attributes, is another. It has been seen before. */
void linked_set_changed(LinkedFiles *l, const struct stat *upper);

/* One that was never seen has changed meanwhile. */
bool linked_is_changed(const LinkedFiles *l, const struct stat *upper);
