/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names of resource limits, as in getrlimit(2). */

#include "basic/macro.h"

/* "RLIMIT_NOFILE" to its number, -1 for what is none. */
int rlimit_from_string(const char *name) _pure_;

const char *rlimit_to_string(int resource) _pure_;
