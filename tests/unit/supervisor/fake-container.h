/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A test double of runtime/container.h and supervisor/payload.h: an ordinary process in a session
 * of its own plays init, its process group plays the payload cgroup, and config.json says how it
 * behaves:
 *
 *   fail        "new", "clone", "enter" or "start": which step fails, with
 *   code        the ErrorCode by name, "Unknown" by default
 *   exit        exit status of the program
 *   kill        signal that the program ends itself with instead
 *   wait        true: the program waits for a signal; SIGTERM makes it exit
 *   ignore      true: ... and it ignores SIGTERM
 *   leave       true: the program leaves a child behind
 *   output      number of bytes it writes to standard output
 *   cat         true: it copies standard input to standard output until "." begins a line
 *   terminal    true: its streams are a pseudo terminal
 *   oom         number of OOM kills that the payload counts
 */

#include <sys/types.h>

/* Of the one container of this process; 0 before it is cloned. */
extern pid_t fake_group;
extern unsigned fake_oom_kills;
