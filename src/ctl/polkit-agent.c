/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/polkit-agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "basic/process.h"

#define AGENT_PATH       "/usr/bin/pkttyagent"
#define REGISTER_TIMEOUT 2000 /* ms */

static int agent_pidfd = -1;

void polkit_agent_open(void) {
        char *const argv[] = {(char *) AGENT_PATH, (char *) "--notify-fd", (char *) "3",
                              (char *) "--fallback", NULL};
        int notify[2], r;
        pid_t pid;

        if (agent_pidfd >= 0 || geteuid() == 0 || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
            access(AGENT_PATH, X_OK) < 0)
                return;
        if (pipe2(notify, O_CLOEXEC) < 0)
                return;
        r = process_spawn(AGENT_PATH, argv, environ,
                          (const int[]){STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, notify[1]}, 4,
                          &pid, &agent_pidfd);
        fd_close(notify[1]);
        if (r >= 0) { /* it closes the pipe when it is registered, or when it failed */
                struct pollfd p = {.fd = notify[0], .events = POLLIN};

                (void) poll(&p, 1, REGISTER_TIMEOUT);
        }
        fd_close(notify[0]);
}

void polkit_agent_close(void) {
        int status;

        if (agent_pidfd < 0)
                return;
        (void) pidfd_signal(agent_pidfd, SIGTERM);
        (void) pidfd_signal(agent_pidfd, SIGCONT);
        (void) pidfd_wait(agent_pidfd, &status);
        agent_pidfd = fd_close(agent_pidfd);
}
