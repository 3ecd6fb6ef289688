/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/sandbox.h"

int sandbox_enter(SandboxFlags flags, int *root_fd, Error *e) {
        return 0;
}
