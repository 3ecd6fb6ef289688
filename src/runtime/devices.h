/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Device nodes: the document's, the default ones of config-linux.md and the links of
 * runtime-linux.md. Which of them may be used is said by the scope's device policy, not here.
 */

#include "runtime/spec.h"

/* Makes all below root_fd. Expects umask 0 and that the early mounts are done. */
int devices_make(const Spec *spec, int root_fd, Error *e);
