/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times are uint64_t microseconds: since the epoch (CLOCK_REALTIME) in everything that is stored or
 * shown, CLOCK_MONOTONIC for deadlines. */

#include <time.h>

#include "basic/macro.h"

static inline uint64_t clock_usec(clockid_t id) {
        struct timespec ts;

        (void) clock_gettime(id, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

static inline uint64_t now_realtime(void) {
        return clock_usec(CLOCK_REALTIME);
}

static inline uint64_t now_monotonic(void) {
        return clock_usec(CLOCK_MONOTONIC);
}
