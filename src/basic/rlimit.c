/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/rlimit.h"

#include <sys/resource.h>

static const char rlimit_names[RLIM_NLIMITS][20] = {
                [RLIMIT_AS] = "RLIMIT_AS",
                [RLIMIT_CORE] = "RLIMIT_CORE",
                [RLIMIT_CPU] = "RLIMIT_CPU",
                [RLIMIT_DATA] = "RLIMIT_DATA",
                [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
                [RLIMIT_LOCKS] = "RLIMIT_LOCKS",
                [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
                [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
                [RLIMIT_NICE] = "RLIMIT_NICE",
                [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
                [RLIMIT_NPROC] = "RLIMIT_NPROC",
                [RLIMIT_RSS] = "RLIMIT_RSS",
                [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",
                [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
                [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
                [RLIMIT_STACK] = "RLIMIT_STACK",
};

int rlimit_from_string(const char *name) {
        for (int i = 0; i < (int) ELEMENTSOF(rlimit_names); i++)
                if (streq(rlimit_names[i], name))
                        return i;
        return -1;
}

const char *rlimit_to_string(int resource) {
        assert(resource >= 0 && resource < (int) ELEMENTSOF(rlimit_names));

        return rlimit_names[resource];
}
