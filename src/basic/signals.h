/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signals by name and number: "SIGTERM", "TERM", "15", "SIGRTMIN+3", "RTMAX-1", any case. */

#include <signal.h>

#include "basic/macro.h"

/* 1 to SIGRTMAX, or -EINVAL. */
int signal_from_string(const char *s);

/* "SIGTERM"; NULL for a real-time signal or no signal at all. The result is constant. */
const char *signal_to_string(int signo);

/* 0 (existence probe) to SIGRTMAX (D39). */
bool signal_is_valid(int signo);
