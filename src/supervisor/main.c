/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-supervisor TASK-DIR: started by the manager, one per task, with the launch connection as
 * descriptor 3 and the streams that a client handed over as 4, 5 and 6.
 */

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/supervisor.h"

static bool is_seqpacket(int fd) {
        socklen_t size = sizeof(int);
        int type = 0;

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 && type == SOCK_SEQPACKET;
}

/* What of 4, 5 and 6 is open belongs to the task, and to nobody whom init executes. */
static int take_handed(int handed[static 3]) {
        int r;

        for (int i = 0; i < 3; i++) {
                int fd = SUPERVISOR_LAUNCH_FD + 1 + i;

                handed[i] = -1;
                r = fd_set_cloexec(fd, true);
                if (r == -EBADF)
                        continue;
                if (r < 0)
                        return r;
                handed[i] = fd;
        }
        return 0;
}

static int detach(int handed[static 3]) {
        int r;

        r = fd_set_cloexec(SUPERVISOR_LAUNCH_FD, true);
        if (r < 0)
                return r;
        r = take_handed(handed);
        if (r < 0)
                return r;
        r = fd_close_from(SUPERVISOR_LAUNCH_FD + 4);
        if (r < 0)
                return r;

        /* away from the caller's directory, which may want to be unmounted, and its terminal */
        if (chdir("/") < 0)
                return -errno;
        (void) setsid();
        return prctl(PR_SET_NAME, "ctr-supervisor", 0, 0, 0) < 0 ? -errno : 0;
}

int main(int argc, char *argv[]) {
        int handed[3], r;

        log_parse_environment();
        if (argc != 2 || argv[1][0] == '-' || !is_seqpacket(SUPERVISOR_LAUNCH_FD)) {
                (void) fprintf(stderr,
                               "Usage: %s TASK-DIR\n\n"
                               "Runs one task. Started by ctr-manager, which talks to it over a "
                               "socket on descriptor %i.\n",
                               argv[0], SUPERVISOR_LAUNCH_FD);
                return 2;
        }
        r = detach(handed);
        if (r < 0) {
                log_error_errno(r, "Failed to set up the supervisor: %m");
                return EXIT_FAILURE;
        }
        return supervisor_run(argv[1], SUPERVISOR_LAUNCH_FD, handed);
}
