/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An archive into a directory of a container, which may be running. Neither is trusted: names of
 * the archive cannot lead upwards, and every directory is opened by the kernel below the
 * container's root, each time (snapshot/inside.h).
 *
 * Links on the way to an entry are followed, as they would be in the container. What is there gives
 * way, but directories become one. A regular file gets its name when it is complete, where its file
 * system can do that, and what it replaces is there until then (insert-internal.h). Marks of layers
 * (".wh.NAME") have no meaning here.
 */

#include "snapshot/apply.h"

typedef struct InsertOptions {
        const char *path;          /* of the directory in the container */
        bool keep_kind;            /* a directory replaces nothing else, and nothing else it */
        bool own;                  /* what is made is root's, instead of whose the archive says */
        const ApplyLimits *limits; /* of the archive */
} InsertOptions;

/* root_fd is the container's root. Reads the source to its end; a tar archive that may be
 * compressed. 0 or: as inside_find() for the directory; CTR_DATA_LOSS for what is no archive,
 * CTR_INVALID_ARGUMENT for an entry that must not be, CTR_RESOURCE_EXHAUSTED for a limit,
 * CTR_FAILED_PRECONDITION for what the container's state does not allow, CTR_CONFLICT if it changes
 * under our hands; the source's error, -errno. What was made stays. */
int tree_insert(int root_fd, const InsertOptions *options, ApplySource source, void *userdata,
                Error *e);
