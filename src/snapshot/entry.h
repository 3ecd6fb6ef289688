/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The attributes of an archive's entry, for who makes a file of it. path names it in errors. */

#include <time.h>

#include "basic/tar-library.h"
#include "snapshot/apply.h"

struct timespec entry_mtime(struct archive_entry *entry);

/* The permission bits. */
mode_t entry_mode(struct archive_entry *entry);

/* CTR_INVALID_ARGUMENT for ids that chown(2) does not take. */
int entry_owner(struct archive_entry *entry, const char *path, uid_t *ret_uid, gid_t *ret_gid,
                Error *e);

/* Gives the file behind fd (which may be an O_PATH one) the extended attributes that we keep: file
 * capabilities, ACLs, and what users set. CTR_RESOURCE_EXHAUSTED. */
int entry_set_xattrs(struct archive_entry *entry, const char *path, int fd,
                     const ApplyLimits *limits, Error *e);

/* The number of a device node, 0 for anything else. CTR_INVALID_ARGUMENT for one that Linux cannot
 * have. */
int entry_device(struct archive_entry *entry, const char *path, dev_t *ret, Error *e);
