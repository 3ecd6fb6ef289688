/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The option strings of a mount (config.md, "Linux mount options") in the terms of the new mount
 * API: attributes of the mount, flags and parameters of the file system, propagation.
 */

#include "basic/error.h"

#define MOUNT_OPTIONS_MAX 256

typedef struct MountOptions {
        uint64_t attr_set; /* MOUNT_ATTR_* of this mount */
        uint64_t attr_clear;
        uint64_t recursive_set; /* the same for it and all mounts below: "rro" and its family */
        uint64_t recursive_clear;
        unsigned long propagation; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0 */
        bool propagation_recursive;
        bool bind;
        bool bind_recursive;
        bool remount;
        const char **parameters; /* "size=64k", "sync": for fsconfig(), in order */
        size_t n_parameters;
} MountOptions;

/* Adds one option. The string must outlive options (it is kept if it is a parameter), which must
 * have room for one more. 0, CTR_NOT_IMPLEMENTED for one that is known and not supported: its
 * sentence is left to the caller. */
int mount_options_add(MountOptions *options, const char *option);

void mount_options_clear(MountOptions *options);
