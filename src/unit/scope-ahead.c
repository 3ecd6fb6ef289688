/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The longest wait of a scope's start, begun before systemd is asked for it. systemd moves the
 * process into the scope, and the first move between cgroups after a while waits for an RCU grace
 * period of the whole machine (cgroup_procs_write_start(), rcu_sync_enter()): 5 ms and more. Moves
 * within the next period wait for nothing. So one is made in a thread, while the documents of the
 * task are written and systemd makes the scope: of this process, to where it is.
 *
 * Invariant: nothing but time depends on it. No cgroup is changed, what fails is left alone, and
 * there is one thread at most.
 */

#include <fcntl.h>

#include "basic/cgroup.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/thread.h"
#include "unit/systemd-internal.h"

/* The result is errno. */
static void *move_thread(void *userdata) {
        const Systemd *s = userdata;

        return write(s->ahead_fd, "0", 1) < 0 ? (void *) (intptr_t) errno : NULL;
}

static int open_own(int *ret_fd, Error *e) {
        _cleanup_free_ char *path = NULL, *file = NULL;
        _cleanup_close_ int root_fd = -1;
        int r;

        r = cgroup_path_of(0, &path, e);
        if (r == 0)
                r = cgroup_root_open(&root_fd, e);
        if (r != 0)
                return r;
        if (asprintf(&file, "%s%scgroup.procs", path, *path ? "/" : "") < 0) {
                file = NULL;
                return -ENOMEM;
        }
        *ret_fd = openat(root_fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        return *ret_fd < 0 ? error_setf(e, -errno, "Failed to open %s: %m", file) : 0;
}

static void thread_ended(Systemd *s, void *result) {
        s->ahead_fd = fd_close(s->ahead_fd);
        if (result)
                log_debug_errno(-(int) (intptr_t) result, "Failed to move a process ahead: %m");
}

void scope_ahead_stop(Systemd *s) {
        void *result;

        if (s->ahead_fd >= 0 && pthread_join(s->ahead_thread, &result) == 0)
                thread_ended(s, result);
}

void scope_start_ahead(Systemd *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        void *result;
        int r;

        if (s->starts) /* their moves do */
                return;
        if (s->ahead_fd >= 0) {
                if (pthread_tryjoin_np(s->ahead_thread, &result) != 0)
                        return;
                thread_ended(s, result);
        }
        if (open_own(&s->ahead_fd, &e) != 0) {
                log_debug("No move ahead of a scope: %s", error_text(&e));
                return;
        }
        r = thread_start(move_thread, s, &s->ahead_thread);
        if (r < 0) {
                s->ahead_fd = fd_close(s->ahead_fd);
                log_debug_errno(r, "Failed to start a thread for a move: %m");
        }
}
