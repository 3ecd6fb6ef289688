/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a container object has until its init runs, and frees at once then: it is the largest part
 * of what a supervisor ever allocates.
 */

#include "runtime/container.h"
#include "runtime/init.h"

typedef struct Setup {
        Spec *spec;
        InitParameters init; /* its pointers go to what follows, or are the caller's */
        char *rootfs_lower, *rootfs_upper, *rootfs_work;
        char *hostname_fallback;
        char *seccomp_cache;
        char *id, *bundle;
        char *resctrl_root;
} Setup;

int setup_new(const ContainerParameters *p, Setup **ret, Error *e);
Setup *setup_free(Setup *s);
DEFINE_CLEANUP(Setup *, setup_free);

/* Clones init, which talks over child_fd; parent_fd is the other end, for a dialogue on the way.
 * cgroup_fd: the cgroup that it is cloned into, without a user namespace; -1: ours. Exits in the
 * child. */
int setup_clone(const Setup *s, int cgroup_fd, int parent_fd, int child_fd, pid_t *ret_pid,
                int *ret_pidfd, Error *e);

/* What the host has to do while init waits for ENTER with everything built (spec_is_held()).
 * *groups is what it has made, also if it fails. */
int setup_serve_init(const Setup *s, pid_t pid, uint64_t deadline, ResctrlGroups *groups, Error *e);
