/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the files of init (init.c, init-build.c). */

#include "runtime/init.h"
#include "runtime/program.h"
#include "runtime/sync.h"

typedef struct Init {
        const InitParameters *p;
        const Spec *spec;
        Filesystems filesystems;
        Program program;
        int root_fd;
        int cgroup_namespace_fd; /* to be joined, or -1 */
        SyncAnswer start;        /* what came with START */
} Init;

/* The steps that need no cgroup; exits if one fails. */
void init_build(Init *i);

/* The container's root becomes ours. */
int init_change_root(Init *i, Error *e);
