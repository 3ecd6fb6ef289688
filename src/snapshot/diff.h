/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The inverse of apply.h: a file or a directory with all that is in it as an uncompressed tar
 * stream. With DIFF_OVERLAY it is an upper directory of overlayfs, whose whiteouts and opaque
 * directories become the entries of layer.md in the OCI image specification (".wh.NAME",
 * ".wh..wh..opq"), before what else is in their directory.
 *
 * Equal trees give equal streams: entries come in the order of their names, holes are where files
 * have long runs of zeros, whether or not their file system has stored those. Sockets are left out:
 * nobody listens in an archive; and of mounts of proc, sysfs and cgroups below the root all but
 * their directory. The tree may change meanwhile; nothing outside of it is ever read.
 */

#include <stdatomic.h>

#include "snapshot/tar-stream.h"

typedef enum DiffFlags {
        DIFF_OVERLAY = 1 << 0,
} DiffFlags;

typedef struct DiffOptions {
        DiffFlags flags;
        const char *name; /* of the tree's root in the archive, "." or relative; NULL: its entry is
                           * left out, and its content is at the top */
        uint64_t entries; /* at most; 0: as many as a layer may have */
        uint64_t bytes;   /* of the stream, at most; 0: as a layer */
        const atomic_bool *canceled; /* NULL: it cannot be */
} DiffOptions;

/* fd is the tree's root: a directory, or any other file (O_PATH), for which options->name is
 * needed. 0; the sink's error; CTR_CANCELED; CTR_RESOURCE_EXHAUSTED for a tree that is deeper than
 * WALK_DEPTH_MAX or larger than the limits; CTR_CONFLICT for a file that became shorter;
 * CTR_FAILED_PRECONDITION for names and marks that a layer cannot have; -errno. Texts name the
 * entry. */
int layer_diff(int fd, const DiffOptions *options, TarSink sink, void *userdata, Error *e);

/* The same for a whole tree: as a layer, what it changes of the one below (snapshot/compare.h). All
 * that is not there any more becomes a whiteout of its own. options->flags has no meaning, its name
 * is "." or NULL. */
int layer_diff_trees(int fd, int lower_fd, const DiffOptions *options, TarSink sink, void *userdata,
                     Error *e);
