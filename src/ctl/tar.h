/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Trees of the local machine to and from tar streams, for cp. The other end is a container, so what
 * it sends is hostile: nothing is written outside of the directory that the caller opened, whatever
 * the names and links of the stream are, and no symbolic link is followed. What is read is walked
 * by descriptor.
 */

#include "basic/error.h"

typedef enum TarFlags {
        TAR_OWNERS = 1 << 0, /* keep owners, and with them set-user-ID and set-group-ID */
        TAR_FOLLOW = 1 << 1, /* pack what path leads to, if it is a symbolic link */
        TAR_NAMES_AS_THEY_ARE = 1 << 2, /* unpack: no first component in common, and
                                         * directories that are not named are made */
} TarFlags;

/* Writes path and all below it to fd, under the name as ("": what is in the directory, without
 * itself). Without TAR_OWNERS all is root's. Sockets are left out. -EPIPE if the reader went away.
 */
int tar_pack(int fd, const char *path, const char *as, TarFlags flags, Error *e);

/* Extracts the stream in fd into the directory dir_fd. The first component of all its names, which
 * must be the same, becomes as; "" takes it away. Files replace files, directories are merged;
 * neither replaces the other (CTR_FAILED_PRECONDITION). Devices are reported on standard error and
 * left out; *ret_skipped counts them. CTR_DATA_LOSS for a stream that is cut off or no archive. */
int tar_unpack(int fd, int dir_fd, const char *as, TarFlags flags, unsigned *ret_skipped, Error *e);
