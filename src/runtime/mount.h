/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The new mount API with descriptors: a mount is made detached, gets its attributes and is attached
 * only when it is complete. Nothing here takes a path of the container.
 */

#include "basic/error.h"

/* A new file system of a type, detached. source may be NULL; parameters are "key=value" or "key".
 * The kernel's own words are put into e. CTR_INVALID_ARGUMENT for a type or
 * a parameter that it does not know. */
int mount_new(const char *type, const char *source, const char *const *parameters,
              size_t n_parameters, int *ret_fd, Error *e);

/* Detached copy of what fd (O_PATH will do) stands for, with all mounts below if recursive.
 * Descriptor or -errno. */
int mount_clone(int fd, bool recursive);

/* Sets and clears attributes (MOUNT_ATTR_*) and the propagation (0: as it is). 0 or -errno. */
int mount_change(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive);

/* Maps the ids of a mount that is not attached yet by those of a user namespace. 0 or -errno. */
int mount_idmap(int fd, int userns_fd, bool recursive);

/* Its error as a sentence: -EINVAL is a file system without mapped mounts. Returns r. */
int mount_idmap_failed(int r, const char *what, const char *path, Error *e);

/* Attaches a detached mount to what target_fd stands for. 0 or -errno. */
int mount_attach(int mount_fd, int target_fd);

/* fsconfig() of one "key=value" or "key". 0 or -errno. */
int fs_context_set(int context_fd, const char *parameter);

/* Creates the file system and its detached mount. Descriptor or -errno. */
int fs_context_mount(int context_fd);

/* What the kernel says about the last failure of this context, "" if nothing. Returns buf. */
const char *fs_context_message(int context_fd, char *buf, size_t size);
