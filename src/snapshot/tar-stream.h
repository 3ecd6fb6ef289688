/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writes a tar archive as a stream: ustar headers, and PAX records (POSIX.1-2001) for what does not
 * fit into them. Everything that is written was given: no times of access or change, no device and
 * inode numbers, no names of users, so that equal entries give equal bytes, on any machine and with
 * any version of a library. That is why this is not libarchive's writer.
 *
 * Invariant: an entry has exactly the data that its header promised, or the stream ends in an
 * error.
 */

#include <sys/stat.h>

#include "basic/error.h"

/* Takes the next piece of the stream. 0 or an error that ends it. */
typedef int (*TarSink)(void *userdata, const void *data, size_t size, Error *e);

typedef struct TarStream TarStream;

/* A part of a file that is not a hole. */
typedef struct TarExtent {
        uint64_t offset, size;
} TarExtent;

#define TAR_EXTENTS_MAX 8192U

typedef struct TarEntry {
        const char *path; /* relative; "." is the root */
        const char *link; /* target of a symbolic link, or of a hard one; else NULL */
        bool hard;
        const struct stat *st;    /* type, mode, owner, device and time of modification */
        uint64_t size;            /* of a regular file, its holes included; 0 for all others */
        const TarExtent *extents; /* of a file with holes, ascending; NULL: all of it is data */
        size_t n_extents;
} TarEntry;

int tar_stream_new(TarSink sink, void *userdata, TarStream **ret);
TarStream *tar_stream_free(TarStream *t);
DEFINE_CLEANUP(TarStream *, tar_stream_free);

/* An extended attribute of the next entry. CTR_INVALID_ARGUMENT if its name has a '='. */
int tar_stream_xattr(TarStream *t, const char *name, const void *value, size_t size, Error *e);

/* Begins the next entry. What its extents (or, without them, its size) promise has to follow. */
int tar_stream_entry(TarStream *t, const TarEntry *entry, Error *e);
int tar_stream_data(TarStream *t, const void *data, size_t size, Error *e);

/* The end of the archive. */
int tar_stream_finish(TarStream *t, Error *e);
