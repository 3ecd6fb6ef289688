/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Applies one layer: an uncompressed tar stream (ustar, PAX, GNU; with or without trailer) into an
 * empty directory, in the form overlayfs wants for a lower directory. See layer.md of the OCI image
 * specification, "Applying Changesets".
 *
 * A hard link to a file of a lower layer makes an empty file in its place, for
 * layer_inherit_links() to fill when the lower layers are known (snapshot/inherit.h).
 *
 * Where this differs from tar(1): a name with ".." is an error, and so is one that leads through a
 * symbolic link of the same layer; extended attributes that overlayfs itself would obey, and those
 * of the security modules of the machine where the layer was made, are dropped.
 */

#include "basic/error.h"

typedef struct ApplyLimits {
        uint64_t entries;     /* of the archive, and files and directories made */
        uint64_t bytes;       /* of the stream, and of all files with their holes */
        size_t xattr_bytes;   /* of one attribute */
        unsigned xattr_count; /* of one file */
} ApplyLimits;

extern const ApplyLimits apply_limits_default;

typedef struct ApplyResult {
        uint64_t bytes;  /* data written, without holes */
        uint64_t inodes; /* made, the root included */
        char **implied;  /* directories that were needed but not in the archive, sorted ("" is the
                          * root): their attributes are those of the layer below */
        char **hiding;   /* directories with whiteouts: of no use where no lower layer has the
                          * directory */
        char **links;    /* files of lower layers that hard links lead to; the n-th is to be copied
                          * into the file named n in links_fd */
} ApplyResult;

/* Gives the next piece of the stream, valid until the next call; *ret_size is 0 at its end. */
typedef int (*ApplySource)(void *userdata, const void **ret_data, size_t *ret_size, Error *e);

/* Reads the stream to its very end, beyond the archive's. 0 or: CTR_DATA_LOSS for what is no tar or
 * truncated, CTR_INVALID_ARGUMENT for an entry that must not be, CTR_RESOURCE_EXHAUSTED for a limit
 * or a full disk, the source's error, -errno. Texts name the entry. On failure the directory is
 * left as it is at that point. links_fd is an empty directory on the same file system, or -1: then
 * a hard link that leads out of the layer is CTR_INVALID_ARGUMENT. */
int layer_apply(int dir_fd, int links_fd, ApplySource source, void *userdata,
                const ApplyLimits *limits, ApplyResult *ret, Error *e);

void apply_result_clear(ApplyResult *result);
