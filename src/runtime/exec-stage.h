/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The two clones of exec.h, from their birth to execve(). The stage is in the pid namespace of the
 * supervisor and joins all others; the sibling that it clones at last executes the program.
 *
 * Invariant: the sibling, the only one that the container's processes see, is born with the
 * program's user, limits and capabilities, and with no descriptor but the program's, the socket to
 * the supervisor and a pidfd of init. One exception: with a seccomp filter and without no_new_privs
 * the kernel wants CAP_SYS_ADMIN for loading the filter, so the permitted capabilities stay until
 * then.
 */

#include "runtime/exec.h"

/* To be called in the clone. */
_noreturn_ void exec_stage_run(const ExecParameters *p, int sync_fd);
