/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the worker gives up before it reads anything that came from outside. Each layer holds
 * without the others:
 *
 *   mount namespace  everything is read-only but the store, which is reached through a mount of its
 *                    own without devices, set-user-ID and execution
 *   capabilities     only what the job needs, in the bounding set, too (see sandbox.c); nothing can
 *                    be gained back (no_new_privs)
 *   Landlock         where the kernel has it (ABI 2): writing in the store's content and snapshots
 *                    alone, reading there and in the system's configuration, programs nowhere, no
 *                    listening TCP sockets
 *   seccomp          an allow-list of system calls (seccomp.c)
 *   limits           no core dumps, at most 1 GiB of data
 *
 * A caller who is not root has neither mounts nor capabilities to give up; the rest applies.
 * Invariant: after a success, no path leads to a writable file outside of the store. The network
 * stays open where the flags say so: a registry, a name server and the certificates are needed.
 */

#include "basic/error.h"

#ifdef __SANITIZE_ADDRESS__
#define BUILT_WITH_SANITIZER true
#elif defined(__has_feature)
#define BUILT_WITH_SANITIZER __has_feature(address_sanitizer)
#else
#define BUILT_WITH_SANITIZER false
#endif

typedef enum SandboxFlags {
        SANDBOX_EXTRACT = 1 << 0, /* make files with any owner, mode, type and attribute */
        SANDBOX_REMOVE = 1 << 1,  /* remove files of any owner */
        SANDBOX_NETWORK = 1 << 2, /* connect to other machines */
        SANDBOX_READ = 1 << 3,    /* read files of any owner, with their attributes */
        SANDBOX_MAKE = 1 << 4,    /* as SANDBOX_EXTRACT, but for the marks of overlayfs */
        SANDBOX_MARKS = 1 << 5,   /* read those */
} SandboxFlags;

/* Before sandbox_enter(): what is below this directory may be read afterwards, too. It stays the
 * caller's. At most four of both kinds. */
void sandbox_let_read(int dir_fd);

/* The same for writing. The directory has to be on a mount that is not in this mount namespace,
 * where everything becomes read-only. */
void sandbox_let_write(int dir_fd);

/* The same for whose files they are: the sandbox has the ids of this user namespace, and its root's
 * rights and no others. Files of ids that it does not have are not ours. It stays the caller's. */
void sandbox_use_ids(int userns_fd);

/* root_fd is the store (NULL: there is none, and everything is read-only). It is replaced by the
 * same directory seen through its own mount, and what is below it must be opened from there. Must
 * be called before there are threads. An error means that the sandbox is incomplete: the process
 * must not go on. */
int sandbox_enter(SandboxFlags flags, int *root_fd, Error *e);

/* seccomp.c: installs the filter. */
int sandbox_filter_system_calls(SandboxFlags flags, Error *e);

/* landlock.c: restricts the file system; root_fd -1: there is no store. Without Landlock in the
 * kernel this does nothing. */
int sandbox_restrict_paths(SandboxFlags flags, int root_fd, Error *e);
