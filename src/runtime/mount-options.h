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
        bool idmap;
        bool idmap_recursive;
        bool copy_up;            /* "tmpcopyup" */
        bool version;            /* "iversion": of the file system, and unknown to fsconfig() */
        const char **parameters; /* "size=64k", "sync": for fsconfig(), in order */
        size_t n_parameters;
} MountOptions;

/* Adds one option. The string must outlive options (it is kept if it is a parameter), which must
 * have room for one more. */
void mount_options_add(MountOptions *options, const char *option);

/* Whether it is one of config.md's, and not of a file system. */
bool mount_option_is_known(const char *option) _pure_;

void mount_options_clear(MountOptions *options);
