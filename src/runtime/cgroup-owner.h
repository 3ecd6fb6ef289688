/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gives a container with a user namespace its cgroup (config-linux.md, "Cgroup ownership"): to the
 * host's id of who runs the program, if the container has a cgroup namespace of its own and sees it
 * writable. The limits in it stay ours: only the files that the kernel says are for that.
 */

#include "runtime/spec.h"

#define CGROUP_OWNER_UNCHANGED ((uid_t) -1)

/* CGROUP_OWNER_UNCHANGED for containers without all of that, and for who is not root. */
uid_t cgroup_owner_of(const Spec *spec);

int cgroup_owner_set(int cgroup_fd, uid_t uid, Error *e);
