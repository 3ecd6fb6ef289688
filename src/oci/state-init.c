/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the state knows of init: a pid with its start time, which together name one process. */

#include <fcntl.h>
#include <sys/file.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "oci/state.h"

#define STAT_SIZE 4096U

/* The process's state letter and start time, fields 3 and 22 of proc(5)'s stat. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start_time) {
        _cleanup_free_ char *text = NULL;
        unsigned long long start_time;
        char path[32];
        const char *p;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        r = file_read_at(AT_FDCWD, path, STAT_SIZE, &text, NULL);
        if (r < 0)
                return r;
        p = strrchr(text, ')'); /* the name before may contain anything */
        if (!p || sscanf(p,
                         ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                         "%*d %*d %llu",
                         ret_state, &start_time) != 2)
                return -EBADMSG;
        *ret_start_time = start_time;
        return 0;
}

int state_set_pid(State *s, pid_t pid, Error *e) {
        char letter;
        int r;

        r = read_stat(pid, &letter, &s->start_time);
        if (r < 0)
                return error_setf(e, r, "Failed to read the start time of process %d: %m", pid);
        s->pid = pid;
        return 0;
}

static bool init_is_alive(const State *s) {
        uint64_t start_time;
        char letter;

        return s->pid > 0 && read_stat(s->pid, &letter, &start_time) >= 0 &&
               start_time == s->start_time && letter != 'Z' && letter != 'X';
}

static bool is_frozen(const State *s) {
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *text = NULL;

        return s->cgroup && state_open_cgroup(s, &fd, NULL) == 0 &&
               file_read_at(fd, "cgroup.freeze", 16, &text, NULL) >= 0 && text[0] == '1';
}

/* Whether somebody who holds the lock is just making it. */
static bool is_being_made(const State *s) {
        _cleanup_close_ int fd =
                        s->locked ? -1 : openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

Status state_status(const State *s) {
        if (s->pid == 0)
                return is_being_made(s) ? STATUS_CREATING : STATUS_STOPPED;
        if (!init_is_alive(s))
                return STATUS_STOPPED;
        if (faccessat(s->dir_fd, STATE_START, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return STATUS_CREATED;
        return is_frozen(s) ? STATUS_PAUSED : STATUS_RUNNING;
}

const char *status_to_string(Status status) {
        static const char *const names[_STATUS_MAX] = {
                        [STATUS_CREATING] = "creating", [STATUS_CREATED] = "created",
                        [STATUS_RUNNING] = "running",   [STATUS_PAUSED] = "paused",
                        [STATUS_STOPPED] = "stopped",
        };

        return names[status];
}

int state_open_init(const State *s, int *ret_pidfd, Error *e) {
        _cleanup_close_ int fd = -1;

        if (s->pid > 0)
                fd = pidfd_open_pid(s->pid);
        if (fd < 0 && s->pid > 0 && fd != -ESRCH)
                return error_setf(e, fd, "Failed to open process %d: %m", s->pid);
        /* what is read after the descriptor was opened is read of its process, if that lives */
        if (fd < 0 || !init_is_alive(s))
                return error_setf(e, CTR_FAILED_PRECONDITION, "container not running");
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}
