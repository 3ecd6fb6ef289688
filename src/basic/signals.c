/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/signals.h"

#include <strings.h>

bool signal_is_valid(int signo) {
        return signo >= 0 && signo <= SIGRTMAX;
}

const char *signal_to_string(int signo) {
        static const char *const names[] = {
#define NAME(s) [s] = #s
                        NAME(SIGHUP),    NAME(SIGINT),  NAME(SIGQUIT),   NAME(SIGILL),
                        NAME(SIGTRAP),   NAME(SIGABRT), NAME(SIGBUS),    NAME(SIGFPE),
                        NAME(SIGKILL),   NAME(SIGUSR1), NAME(SIGSEGV),   NAME(SIGUSR2),
                        NAME(SIGPIPE),   NAME(SIGALRM), NAME(SIGTERM),   NAME(SIGCHLD),
                        NAME(SIGCONT),   NAME(SIGSTOP), NAME(SIGTSTP),   NAME(SIGTTIN),
                        NAME(SIGTTOU),   NAME(SIGURG),  NAME(SIGXCPU),   NAME(SIGXFSZ),
                        NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH),  NAME(SIGIO),
                        NAME(SIGPWR),    NAME(SIGSYS),  NAME(SIGSTKFLT),
#undef NAME
        };

        return signo > 0 && (size_t) signo < ELEMENTSOF(names) ? names[signo] : NULL;
}

/* A plain decimal number of at most max, or -EINVAL. */
static int small_number(const char *s, int max) {
        char *end;
        long n;

        if (*s < '0' || *s > '9')
                return -EINVAL;
        n = strtol(s, &end, 10);
        return *end || n > max ? -EINVAL : (int) n;
}

int signal_from_string(const char *s) {
        int n;

        assert(s);

        n = small_number(s, SIGRTMAX);
        if (n >= 0)
                return n > 0 ? n : -EINVAL;
        if (strncasecmp(s, "SIG", 3) == 0)
                s += 3;
        for (int i = 1; i < SIGRTMIN; i++)
                if (signal_to_string(i) && strcasecmp(signal_to_string(i) + 3, s) == 0)
                        return i;
        if (strcasecmp(s, "RTMIN") == 0)
                return SIGRTMIN;
        if (strcasecmp(s, "RTMAX") == 0)
                return SIGRTMAX;
        if (strncasecmp(s, "RTMIN+", 6) == 0 && (n = small_number(s + 6, SIGRTMAX - SIGRTMIN)) >= 0)
                return SIGRTMIN + n;
        if (strncasecmp(s, "RTMAX-", 6) == 0 && (n = small_number(s + 6, SIGRTMAX - SIGRTMIN)) >= 0)
                return SIGRTMAX - n;
        return -EINVAL;
}
