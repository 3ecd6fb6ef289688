/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libarchive, which reads and writes tar archives. It is loaded when the first archive is opened:
 * linked, it and its thirteen libraries would cost each job of a worker that extracts nothing, and
 * each verb of ctrctl but cp, more than all the rest of its start.
 */

#include <archive.h>
#include <archive_entry.h>

#include "basic/error.h"

typedef struct TarLibrary {
#define TAR_FUNCTIONS(F)                                                                           \
        F(archive_entry_clear)                                                                     \
        F(archive_entry_copy_stat)                                                                 \
        F(archive_entry_filetype)                                                                  \
        F(archive_entry_free)                                                                      \
        F(archive_entry_gid)                                                                       \
        F(archive_entry_hardlink)                                                                  \
        F(archive_entry_mtime)                                                                     \
        F(archive_entry_mtime_is_set)                                                              \
        F(archive_entry_mtime_nsec)                                                                \
        F(archive_entry_new)                                                                       \
        F(archive_entry_pathname)                                                                  \
        F(archive_entry_perm)                                                                      \
        F(archive_entry_rdev)                                                                      \
        F(archive_entry_set_filetype)                                                              \
        F(archive_entry_set_gid)                                                                   \
        F(archive_entry_set_hardlink)                                                              \
        F(archive_entry_set_mtime)                                                                 \
        F(archive_entry_set_pathname)                                                              \
        F(archive_entry_set_perm)                                                                  \
        F(archive_entry_set_size)                                                                  \
        F(archive_entry_set_symlink)                                                               \
        F(archive_entry_set_uid)                                                                   \
        F(archive_entry_size)                                                                      \
        F(archive_entry_symlink)                                                                   \
        F(archive_entry_uid)                                                                       \
        F(archive_entry_xattr_next)                                                                \
        F(archive_entry_xattr_reset)                                                               \
        F(archive_errno)                                                                           \
        F(archive_error_string)                                                                    \
        F(archive_read_data)                                                                       \
        F(archive_read_data_block)                                                                 \
        F(archive_read_free)                                                                       \
        F(archive_read_new)                                                                        \
        F(archive_read_next_header)                                                                \
        F(archive_read_open)                                                                       \
        F(archive_read_open_fd)                                                                    \
        F(archive_read_support_filter_bzip2)                                                       \
        F(archive_read_support_filter_gzip)                                                        \
        F(archive_read_support_filter_xz)                                                          \
        F(archive_read_support_filter_zstd)                                                        \
        F(archive_read_support_format_empty)                                                       \
        F(archive_read_support_format_tar)                                                         \
        F(archive_set_error)                                                                       \
        F(archive_write_close)                                                                     \
        F(archive_write_data)                                                                      \
        F(archive_write_fail)                                                                      \
        F(archive_write_free)                                                                      \
        F(archive_write_header)                                                                    \
        F(archive_write_new)                                                                       \
        F(archive_write_open)                                                                      \
        F(archive_write_open_fd)                                                                   \
        F(archive_write_set_bytes_in_last_block)                                                   \
        F(archive_write_set_bytes_per_block)                                                       \
        F(archive_write_set_format_pax_restricted)
#define TAR_MEMBER(f) __typeof__(f) *f;
        TAR_FUNCTIONS(TAR_MEMBER)
} TarLibrary;

/* Filled by tar_library_load(). */
extern TarLibrary tar_library;

/* Whoever opens an archive calls it before; in whatever thread. CTR_NOT_IMPLEMENTED if it is not
 * installed. */
int tar_library_load(Error *e);
