/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * "tmpcopyup": a tmpfs that begins with what the directory below it has.
 *
 * Invariant: the image's names are used in the directory that they are in and nowhere else, no link
 * is followed and no device opened.
 */

#include "basic/error.h"

/* Copies what is in the directory from_fd (O_PATH will do) into the empty directory to_fd: files,
 * directories, links, device nodes and pipes with owner, mode, times and extended attributes.
 * Sockets are left out. CTR_RESOURCE_EXHAUSTED if it is too deep. */
int copy_up(int from_fd, int to_fd, Error *e);
