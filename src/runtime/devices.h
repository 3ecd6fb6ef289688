/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Device nodes: the document's, the default ones of config-linux.md and the links of
 * runtime-linux.md. Which of them may be used is said by the scope's device policy, not here.
 *
 * Nothing is made in what the document binds from the host: that directory stays as it is, and has
 * the devices that its owner put there, as runc does it.
 */

#include "runtime/spec.h"

/* True if the last mount over path is a bind mount: what was made there would be the host's. */
bool devices_are_bound(const Spec *spec, const char *path) _pure_;

/* Makes all below root_fd. Expects umask 0 and that the early mounts are done. */
int devices_make(const Spec *spec, int root_fd, Error *e);
