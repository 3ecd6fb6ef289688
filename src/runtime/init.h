/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The life of a container's init until it executes the user's program. It is a clone of the
 * supervisor with its own memory: it needs no exec of its own, and all it allocates goes with
 * execve().
 *
 * Three parts, each a table of steps: "build" needs no cgroup and runs while systemd makes the
 * scope; "enter" runs when init is in its cgroup; "start" is the last one before execve(). A failed
 * step is told over the socket with the step's stage, and init exits: 127 or 126 if the program is
 * missing or not executable, 125 else.
 *
 * With hooks that run before the root is changed, "build" ends before that.
 *
 * Invariant: until execve() init runs no code and opens no library of the image.
 */

#include "runtime/filesystems.h"
#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"

/* What was done for an init with a user namespace before it entered that (userns.h). */
typedef struct InitPrepared {
        bool opened; /* the sources of mounts, and the root directory if it is no overlay */
        Filesystems filesystems;
        int root_fd; /* or -1 */
        SeccompFilter seccomp;
} InitPrepared;

typedef struct InitParameters {
        const Spec *spec;
        int sync_fd;
        int bundle_fd;
        const char *rootfs_lower, *rootfs_upper, *rootfs_work;
        const char *hostname_fallback;
        const char *seccomp_cache;
        const char *id, *bundle;      /* for hooks */
        const InitPrepared *prepared; /* NULL: no user namespace */
        int stdio[3];
        int (*open_stdio)(void *userdata, int stdio[3], Error *e);
        void *userdata;
        bool independent, no_pivot, no_keyring;
        unsigned preserve_fds;
} InitParameters;

/* To be called in the clone, with the new (or joined) pid namespace. */
_noreturn_ void init_run(const InitParameters *p);
