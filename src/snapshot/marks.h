/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The marks by which overlayfs's directories say what they take away from those below. */

#include <stdbool.h>
#include <sys/stat.h>

#include "basic/macro.h"

/* A name that was removed. */
bool mark_is_whiteout(const struct stat *st) _pure_;

/* The name of an extended attribute that is no part of a layer: overlayfs's own, and those of the
 * security modules of this machine. */
bool mark_is_no_attribute(const char *name) _pure_;

/* A directory that hides what is below it. */
bool mark_is_opaque(int dir_fd);
