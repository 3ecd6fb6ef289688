/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What has to be known of a checkpoint besides CRIU's own images, in a file among them: what of the
 * container reached outside, and so is given to it again at the restore.
 *
 * Invariant: names that were read go into command lines of "[NAME]:VALUE" and cannot end one early.
 */

#include "basic/error.h"

#define CHECKPOINT_DOCUMENT      "ctr-checkpoint.json"
#define CHECKPOINT_DOCUMENT_SIZE (1U * 1024 * 1024)
#define CHECKPOINT_MOUNTS_MAX    4096U

typedef struct CheckpointDocument {
        char *stdio[3]; /* CRIU's name of the resource behind a standard stream ("pipe:[42]",
                         * "socket:[42]", "file[2a:17]", "tty[8800:2b]"); NULL: nothing of ours */
        char **mounts;  /* mount points of what comes from outside of the container's root */
        char *network;  /* CRIU's name of a network namespace that was joined, or NULL */
        char **empty_namespaces;
        bool terminal;
        bool tcp, unix_sockets, shell_job, file_locks;
} CheckpointDocument;

void checkpoint_document_clear(CheckpointDocument *d);
int checkpoint_document_write(int images_fd, const CheckpointDocument *d);

/* CTR_INVALID_ARGUMENT (with text) if it is missing or malformed: this is no checkpoint of ours. */
int checkpoint_document_read(int images_fd, CheckpointDocument *ret, Error *e);

/* Whether CRIU can be told this name. */
bool checkpoint_name_is_valid(const char *name) _pure_;
