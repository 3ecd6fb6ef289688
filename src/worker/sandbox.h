/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the worker gives up before it touches anything that came from outside. */

#include "basic/error.h"

typedef enum SandboxFlags {
        SANDBOX_EXTRACT = 1 << 0, /* keep what writing foreign owners, modes and nodes needs */
        SANDBOX_NETWORK = 1 << 1, /* keep sockets, DNS and CA certificates */
} SandboxFlags;

/* root_fd is the store. It is replaced by the same directory in the new mount namespace. */
int sandbox_enter(SandboxFlags flags, int *root_fd, Error *e);
