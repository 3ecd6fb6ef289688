/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whose memory limit was hit when the OOM killer struck: the kernel counts that in each cgroup for
 * itself ("oom" in memory.events.local), so the counts up the tree are compared with those of the
 * time before. The first level stands for all below it, too. Invariant: a file that cannot be read
 * never hides one that can.
 */

#include "basic/error.h"

#define OOM_LEVELS_MAX 16U

typedef struct OomLevels {
        uint64_t hits[OOM_LEVELS_MAX]; /* [0]: the cgroup itself, [1]: its parent, ... */
} OomLevels;

/* Reads the counts of the cgroup and of all above it. */
void oom_levels_read(int cgroup_fd, OomLevels *ret);

/* The nearest level whose count has grown, or -1. */
int oom_levels_grown(const OomLevels *before, const OomLevels *now) _pure_;

/* The path of a level above the cgroup path, with a leading slash; "" for level -1. */
int oom_level_path(const char *path, int level, char **ret);
