/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A blob on its way into the content store. It grows in content/ingest/<hex>, which outlives
 * whoever writes it, so that an interrupted download goes on where it stopped. When it is complete
 * and its digest is right it waits for the others of the same job: many are made durable at once,
 * because each fsync() for itself costs as much as all of them. Then they are renamed to their
 * places.
 *
 * Invariant: at most one process writes a partial blob (it holds a lock on the file), and nothing
 * under content/<algorithm>/ was ever seen incomplete, not even after a power failure.
 */

#include <stdatomic.h>

#include "image/digest.h"

/* What a file in content/ingest/ begins with whose digest is not known yet: <pid>-<n> follows. It
 * is locked as long as somebody writes it. */
#define INGEST_UNKNOWN_PREFIX ".import-"

typedef struct Ingest Ingest;

/* Opens or creates the partial blob of that digest and size, and hashes what is there already,
 * until *canceled becomes true. 0; CTR_ALREADY_EXISTS (no text) if the blob is in the store now;
 * CTR_CONFLICT (no text) if somebody else is at it, try again; CTR_CANCELED; -errno. */
int ingest_open(int content_fd, const Digest *d, uint64_t size, const atomic_bool *canceled,
                Ingest **ret, Error *e);

/* A blob of which nothing is known yet, not even its size: digest (SHA-256) and size are computed
 * by ingest_verify(). It cannot be resumed: what is not committed is removed. */
int ingest_open_unknown(int content_fd, Ingest **ret, Error *e);

/* What a verified one has become. */
const Digest *ingest_digest(const Ingest *i) _pure_;

/* Removes what ingest_open_unknown() of processes that crashed has left. */
void ingest_sweep_unknown(int content_fd);

/* How many bytes are there. */
uint64_t ingest_offset(const Ingest *i) _pure_;

/* The file itself, to read what was written so far. It stays valid after the commit. */
int ingest_fd(const Ingest *i) _pure_;

/* Appends. CTR_DATA_LOSS as soon as there is more than the size promised. */
int ingest_write(Ingest *i, const void *data, size_t size, Error *e);

/* Checks size and digest at the end. On CTR_DATA_LOSS the partial blob is removed, so that the next
 * attempt does not build on it. Nothing can be appended any more. */
int ingest_verify(Ingest *i, Error *e);

/* Moves verified blobs into the store, all or (on an error) some. Unless synced says that the
 * caller has done it since the last was verified, their file system is synced first. */
int ingest_commit_all(int content_fd, Ingest *const *all, size_t n, bool synced, Error *e);

/* Removes one that nobody wants any more, from its path only. */
void ingest_discard(Ingest *i);

/* Closes and unlocks; what was not committed stays to be resumed, unless it is empty. */
Ingest *ingest_free(Ingest *i);
DEFINE_CLEANUP(Ingest *, ingest_free);
