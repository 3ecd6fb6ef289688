/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libarchive, for cp alone, which reads and writes tar streams by itself: the local side of a copy
 * is the user's, with the user's rights, and no matter of the service. It is loaded when it is
 * needed: linked, it and its eleven libraries would cost every other verb more than ctrctl itself.
 */

#include <archive.h>
#include <archive_entry.h>

#include "basic/error.h"

typedef struct TarLibrary {
#define TAR_FUNCTIONS(F)                                                                           \
        F(archive_error_string)                                                                    \
        F(archive_errno)                                                                           \
        F(archive_read_new)                                                                        \
        F(archive_read_support_format_tar)                                                         \
        F(archive_read_open_fd)                                                                    \
        F(archive_read_next_header)                                                                \
        F(archive_read_data_block)                                                                 \
        F(archive_read_free)                                                                       \
        F(archive_write_new)                                                                       \
        F(archive_write_set_format_pax_restricted)                                                 \
        F(archive_write_set_bytes_in_last_block)                                                   \
        F(archive_write_open_fd)                                                                   \
        F(archive_write_header)                                                                    \
        F(archive_write_data)                                                                      \
        F(archive_write_fail)                                                                      \
        F(archive_write_close)                                                                     \
        F(archive_write_free)                                                                      \
        F(archive_entry_new)                                                                       \
        F(archive_entry_free)                                                                      \
        F(archive_entry_copy_stat)                                                                 \
        F(archive_entry_set_pathname)                                                              \
        F(archive_entry_set_symlink)                                                               \
        F(archive_entry_set_hardlink)                                                              \
        F(archive_entry_set_size)                                                                  \
        F(archive_entry_set_uid)                                                                   \
        F(archive_entry_set_gid)                                                                   \
        F(archive_entry_pathname)                                                                  \
        F(archive_entry_symlink)                                                                   \
        F(archive_entry_hardlink)                                                                  \
        F(archive_entry_filetype)                                                                  \
        F(archive_entry_perm)                                                                      \
        F(archive_entry_size)                                                                      \
        F(archive_entry_uid)                                                                       \
        F(archive_entry_gid)                                                                       \
        F(archive_entry_mtime)                                                                     \
        F(archive_entry_mtime_nsec)
#define TAR_MEMBER(f) __typeof__(f) *f;
        TAR_FUNCTIONS(TAR_MEMBER)
} TarLibrary;

/* Loads it. CTR_NOT_IMPLEMENTED if it is not installed. */
int tar_library_get(const TarLibrary **ret, Error *e);
