/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <sys/eventfd.h>

#include "fake-container.h"
#include "supervisor/payload.h"

struct Payload {
        int events_fd; /* never ready: SIGCHLD tells of every end */
};

int payload_new(const char *unit, Payload **ret, Error *e) {
        Payload *p;

        if (streq(unit, "lost.scope"))
                return error_setf(e, CTR_UNAVAILABLE, "Not in %s", unit);
        p = malloc(sizeof(*p));
        assert(p);
        p->events_fd = eventfd(0, EFD_CLOEXEC);
        assert(p->events_fd >= 0);
        *ret = p;
        return 0;
}

Payload *payload_free(Payload *p) {
        fd_close(p->events_fd);
        free(p);
        return NULL;
}

int payload_fd(const Payload *p) {
        return -1;
}

int payload_kill(Payload *p) {
        return payload_signal(p, SIGKILL);
}

int payload_signal(Payload *p, int signo) {
        return kill(-fake_group, signo) < 0 && errno != ESRCH ? -errno : 0;
}

int payload_is_populated(Payload *p) {
        return kill(-fake_group, 0) >= 0;
}

uint64_t payload_oom_kills(Payload *p) {
        return fake_oom_kills;
}

int payload_events_fd(const Payload *p) {
        return p->events_fd;
}

int payload_memory_events_fd(const Payload *p) {
        return -1;
}

int payload_remove(Payload *p) {
        return 0;
}
