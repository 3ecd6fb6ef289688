/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An init with a user namespace of its own. What it needs from the host (sources of bind mounts,
 * layers, the filter, its oom score) has to be done before the namespace is entered, and the other
 * namespaces have to be made after that. So a first clone, the stage, does the former, enters the
 * user namespace, whose maps the supervisor writes, and clones init into the pid namespace as its
 * sibling (CLONE_PARENT); then it ends.
 *
 * Who is not root has nothing that a stage could do before: there init opens the sources itself, in
 * its own mount namespace.
 *
 * Invariant: no file of an image or a volume changes its owner; ids are mapped by the mount.
 */

#include "runtime/init.h"

/* Clones the stage and with it init, whose pid and pidfd are returned; reaps the stage. Waits, for
 * at most 30 s. Exits in the children. */
int userns_clone(const InitParameters *p, int parent_fd, int child_fd, pid_t *ret_pid,
                 int *ret_pidfd, Error *e);
