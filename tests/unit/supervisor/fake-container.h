/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A test double of runtime/container.h, runtime/exec.h and supervisor/payload.h: an ordinary
 * process in a session of its own plays init, its process group and the execs' play the payload
 * cgroup, and config.json says how it behaves, see fake-program.h and
 *
 *   fail        "new", "clone", "enter" or "start" ("clone" or "start" for an exec)
 *   oom         number of OOM kills that the payload counts
 *   oom_cgroup  whose limit was hit
 *   unfreezable true: freezing takes for ever
 */

#include <stdbool.h>
#include <sys/types.h>

#define FAKE_EXECS_MAX 4096

/* Of the one container of this process; 0 before it is cloned. */
extern pid_t fake_group;
extern pid_t fake_execs[FAKE_EXECS_MAX];
extern size_t fake_n_execs;
extern unsigned fake_oom_kills;
extern char fake_oom_cgroup[128];
extern bool fake_unfreezable;
