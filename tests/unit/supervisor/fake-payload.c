/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "fake-container.h"
#include "supervisor/payload.h"

struct Payload {
        int events_fd; /* never ready: SIGCHLD tells of every end */
        bool frozen;
};

int payload_new(const char *unit, Payload **ret, Error *e) {
        Payload *p;

        if (streq(unit, "lost.scope"))
                return error_setf(e, CTR_UNAVAILABLE, "Not in %s", unit);
        p = calloc(1, sizeof(*p));
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

/* A descriptor, but no directory. */
int payload_fd(const Payload *p) {
        return p->events_fd;
}

const char *payload_path(const Payload *p) {
        return "payload";
}

int payload_kill(Payload *p) {
        return payload_signal(p, SIGKILL);
}

/* A session has its own group, and each exec has a session, as soon as it has come that far. */
static void signal_exec(pid_t pid, int signo) {
        siginfo_t si = {};

        if (kill(-pid, signo) < 0 &&
            waitid(P_PID, (id_t) pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0)
                (void) kill(pid, signo);
}

int payload_signal(Payload *p, int signo) {
        for (size_t i = 0; i < fake_n_execs; i++)
                signal_exec(fake_execs[i], signo);
        return fake_group > 0 && kill(-fake_group, signo) < 0 && errno != ESRCH ? -errno : 0;
}

int payload_signal_pid(Payload *p, pid_t pid, int signo) {
        if (getpgid(pid) != fake_group)
                return -ESRCH;
        return kill(pid, signo) < 0 ? -errno : 0;
}

int payload_freeze(Payload *p, bool freeze) {
        p->frozen = freeze && !fake_unfreezable;
        return payload_signal(p, freeze ? SIGSTOP : SIGCONT);
}

int payload_is_frozen(Payload *p) {
        return p->frozen;
}

int payload_is_populated(Payload *p) {
        for (size_t i = 0; i < fake_n_execs; i++)
                if (kill(-fake_execs[i], 0) >= 0)
                        return true;
        return fake_group > 0 && kill(-fake_group, 0) >= 0;
}

int payload_oom_cgroup(Payload *p, char **ret) {
        *ret = strdup(fake_oom_cgroup);
        return *ret ? 0 : -ENOMEM;
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
