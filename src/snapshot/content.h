/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The content of one file, for another one. */

#include "basic/error.h"

/* Fills to_fd, which is empty, with the size bytes of from_fd. The two share their blocks where the
 * file system can; otherwise the kernel copies, and holes stay holes. */
int content_copy(int from_fd, int to_fd, off_t size, Error *e);
