/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * linux.maskedPaths and linux.readonlyPaths. A masked file is covered by /dev/null, a masked
 * directory by an empty read-only tmpfs. Paths that do not exist need no cover.
 */

#include "runtime/spec.h"

/* Covers below root_fd. To be called while /dev/null is still the host's: no /dev/null of an image
 * is trusted. */
int masks_apply(const Spec *spec, int root_fd, Error *e);

/* Makes the paths read-only that are late (filesystems.h) or those that are not. */
int readonly_paths_apply(const Spec *spec, int root_fd, bool late, Error *e);
