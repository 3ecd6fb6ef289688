/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/payload.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/cgroup.h"
#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "runtime/cgroup-tree.h"
#include "supervisor/oom.h"

#define CGROUP_FILE_MAX (64U * 1024)
#define CONTROLLERS_MAX 1024U
#define ADOPT_USEC      (10 * USEC_PER_SEC)
#define FREEZE_USEC     (2 * USEC_PER_SEC)

struct Payload {
        int scope_fd;
        int fd;
        int events_fd;
        int memory_events_fd;
        char *path; /* in the hierarchy, without the leading slash */
        OomLevels levels;
};

static int scope_open(const char *unit, char **ret_path, int *ret_fd, Error *e) {
        _cleanup_close_ int root = -1;
        _cleanup_free_ char *path = NULL;
        const char *name;
        int r;

        r = cgroup_path_of(0, &path, e);
        if (r != 0)
                return r;
        assert(path);
        name = strrchr(path, '/');
        name = name ? name + 1 : path;
        if (!streq(name, unit))
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The supervisor is in cgroup \"/%s\" and not in %s: the scope "
                                  "was lost before it was used",
                                  path, unit);

        r = cgroup_root_open(&root, e);
        if (r != 0)
                return r;
        *ret_fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*ret_fd < 0)
                return error_setf(e, -errno, "Failed to open cgroup /%s: %m", path);
        return asprintf(ret_path, "%s/payload", path) < 0 ? -ENOMEM : 0;
}

/* Hands all controllers of the scope down, in one write: each one makes the kernel rebuild the
 * subtree. If one of them cannot be handed down (busy, threaded) the others are, one by one; the
 * limits that matter are the scope's own. */
static int controllers_enable(int scope_fd) {
        _cleanup_free_ char *names = NULL;
        char all[CONTROLLERS_MAX] = "", one[CONTROLLERS_MAX];
        char *save = NULL;
        size_t n = 0;
        int r;

        r = file_read_at(scope_fd, "cgroup.controllers", sizeof(all) / 2 - 1, &names, NULL);
        if (r < 0)
                return r;
        /* "cpu io\n" becomes "+cpu +io ": at most twice as long */
        for (const char *p = names; *p && *p != '\n'; p++) {
                if (p == names || p[-1] == ' ')
                        all[n++] = '+';
                all[n++] = *p;
        }
        if (n == 0 || cgroup_attribute_write(scope_fd, "cgroup.subtree_control", all) >= 0)
                return 0;

        for (char *name = strtok_r(names, " \n", &save); name;
             name = strtok_r(NULL, " \n", &save)) {
                (void) snprintf(one, sizeof(one), "+%s", name);
                r = cgroup_attribute_write(scope_fd, "cgroup.subtree_control", one);
                if (r < 0)
                        log_debug_errno(r, "Failed to enable controller %s: %m", name);
        }
        return 0;
}

static int subgroup_make(int scope_fd, const char *name, int *ret_fd, Error *e) {
        if (mkdirat(scope_fd, name, 0755) < 0 && errno != EEXIST)
                return error_setf(e, -errno, "Failed to make cgroup %s: %m", name);
        *ret_fd = openat(scope_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (*ret_fd < 0)
                return error_setf(e, -errno, "Failed to open cgroup %s: %m", name);
        return 0;
}

static int wait_for_exit(pid_t pid, uint64_t deadline) {
        _cleanup_close_ int pidfd = -1;
        int r;

        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0)
                return pidfd == -ESRCH ? 0 : pidfd;
        r = pidfd_wait_until(pidfd, deadline);
        return r > 0 ? 0 : r < 0 ? r : -EBUSY;
}

/* The first of the processes that are in the scope itself, all of which are moved; 0: none. */
static int payload_move_all(Payload *p, pid_t *ret_first) {
        _cleanup_free_ char *pids = NULL;
        char *save = NULL;
        int r;

        r = file_read_at(p->scope_fd, "cgroup.procs", CGROUP_PROCS_MAX, &pids, NULL);
        if (r < 0)
                return r;
        *ret_first = (pid_t) strtol(pids, NULL, 10);
        for (char *pid = strtok_r(pids, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
                r = cgroup_attribute_write(p->fd, "cgroup.procs", pid);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        return 0;
}

/* An init that was cloned after systemd had moved us is in the scope itself, with whatever it
 * forked for its set-up; no controller can be enabled while processes are there (no processes in
 * inner nodes). One that was cloned before is still elsewhere and is moved by container_enter().
 * One that has failed and is on its way out cannot be moved and stays where it is: it is waited
 * for, and what it had to say is heard later. */
static int payload_adopt(Payload *p) {
        uint64_t deadline = now_monotonic() + ADOPT_USEC;
        pid_t first = 0, before;
        int r;

        do {
                before = first;
                r = payload_move_all(p, &first);
                if (r == 0 && first != 0 && first == before)
                        r = wait_for_exit(first, deadline);
                if (r == 0 && now_monotonic() >= deadline)
                        r = -EBUSY;
        } while (r == 0 && first != 0);
        return r;
}

static int payload_set_up(Payload *p, Error *e) {
        _cleanup_close_ int own_fd = -1;
        int r;

        r = subgroup_make(p->scope_fd, "supervisor", &own_fd, e);
        if (r < 0)
                return r;
        r = subgroup_make(p->scope_fd, "payload", &p->fd, e);
        if (r < 0)
                return r;
        r = cgroup_attribute_write(own_fd, "cgroup.procs", "0");
        if (r < 0)
                return error_setf(e, r, "Failed to move into cgroup supervisor: %m");
        r = payload_adopt(p);
        if (r < 0)
                return error_setf(e, r, "Failed to move init into cgroup payload: %m");
        r = controllers_enable(p->scope_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to enable controllers: %m");

        p->events_fd = openat(p->fd, "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (p->events_fd < 0)
                return error_setf(e, -errno, "Failed to open cgroup.events: %m");
        p->memory_events_fd = openat(p->fd, "memory.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (p->memory_events_fd < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to open memory.events: %m");
        oom_levels_read(p->fd, &p->levels);
        return 0;
}

int payload_new(const char *unit, Payload **ret, Error *e) {
        _cleanup_(payload_freep) Payload *p = NULL;
        int r;

        assert(unit && ret);

        p = malloc(sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (Payload){.scope_fd = -1, .fd = -1, .events_fd = -1, .memory_events_fd = -1};

        r = scope_open(unit, &p->path, &p->scope_fd, e);
        if (r != 0)
                return r;
        r = payload_set_up(p, e);
        if (r != 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

Payload *payload_free(Payload *p) {
        if (!p)
                return NULL;
        fd_close(p->scope_fd);
        fd_close(p->fd);
        fd_close(p->events_fd);
        fd_close(p->memory_events_fd);
        free(p->path);
        free(p);
        return NULL;
}

int payload_fd(const Payload *p) {
        return p->fd;
}

const char *payload_path(const Payload *p) {
        return p->path;
}

int payload_events_fd(const Payload *p) {
        return p->events_fd;
}

int payload_memory_events_fd(const Payload *p) {
        return p->memory_events_fd;
}

int payload_kill(Payload *p) {
        return cgroup_attribute_write(p->fd, "cgroup.kill", "1");
}

int payload_is_populated(Payload *p) {
        uint64_t value = 1;
        int r;

        r = cgroup_flat_file_get(p->events_fd, "populated", &value);
        return r < 0 ? r : value != 0;
}

uint64_t payload_oom_kills(Payload *p) {
        uint64_t value = 0;
        int r;

        if (p->memory_events_fd < 0)
                return 0;
        r = cgroup_flat_file_get(p->memory_events_fd, "oom_kill", &value);
        if (r < 0)
                /* -ENODEV after somebody removed the cgroup: nothing to see any more */
                log_debug_errno(r, "Failed to read memory.events: %m");
        return value;
}

int payload_oom_cgroup(Payload *p, char **ret) {
        OomLevels now;
        int level;

        oom_levels_read(p->fd, &now);
        level = oom_levels_grown(&p->levels, &now);
        p->levels = now;
        return oom_level_path(p->path, level, ret);
}

int payload_freeze(Payload *p, bool freeze) {
        return cgroup_attribute_write(p->fd, "cgroup.freeze", freeze ? "1" : "0");
}

int payload_is_frozen(Payload *p) {
        uint64_t frozen = 0;
        int r;

        r = cgroup_flat_file_get(p->events_fd, "frozen", &frozen);
        return r < 0 ? r : frozen != 0;
}

/* Waits until everything is frozen, which the kernel announces at most every 10 ms: so it is looked
 * at by and by, too. A process in uninterruptible sleep may take its time. */
static int payload_wait_frozen(Payload *p) {
        uint64_t deadline = now_monotonic() + FREEZE_USEC, msec = 1;

        for (;;) {
                struct pollfd pfd = {.fd = p->events_fd, .events = POLLPRI};
                uint64_t now;
                int r;

                r = payload_is_frozen(p);
                if (r != 0)
                        return r;
                now = now_monotonic();
                if (now >= deadline)
                        return -ETIMEDOUT;
                if (poll(&pfd, 1, (int) MIN_OF(msec, (deadline - now) / USEC_PER_MSEC + 1)) < 0 &&
                    errno != EINTR)
                        return -errno;
                msec *= 2;
        }
}

static int each_signal(pid_t pid, void *userdata) {
        const int *signo = userdata;

        return kill(pid, *signo) < 0 && errno != ESRCH ? -errno : 0;
}

int payload_signal(Payload *p, int signo) {
        _cleanup_free_ char *before = NULL;
        bool thaw;
        int r, k;

        if (signo == SIGKILL)
                return payload_kill(p);

        r = file_read_at(p->fd, "cgroup.freeze", CGROUP_FILE_MAX, &before, NULL);
        if (r < 0)
                return r;
        thaw = before[0] == '0';
        r = payload_freeze(p, true);
        if (r < 0)
                return r;

        k = payload_wait_frozen(p);
        if (k < 0)
                /* what runs on may fork and be missed: better than no signal at all */
                log_warning_errno(k, "Failed to freeze the payload: %m");
        r = cgroup_each_process(p->fd, each_signal, &signo);
        k = thaw ? payload_freeze(p, false) : 0;
        return r < 0 ? r : k;
}

static bool is_below(const char *path, const char *prefix) {
        const char *rest = startswith(path, prefix);

        return rest && (rest[0] == '\0' || rest[0] == '/');
}

int payload_signal_pid(Payload *p, pid_t pid, int signo) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int pidfd = -1;

        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0)
                return pidfd == -EINVAL ? -ESRCH : pidfd; /* a thread is no process */
        if (cgroup_path_of(pid, &path, NULL) != 0 || !is_below(path, p->path))
                return -ESRCH;
        /* what was read was this process's if it lives still: no other can have its pid */
        return pidfd_signal(pidfd, signo);
}

int payload_remove(Payload *p) {
        return cgroup_remove_tree(p->scope_fd, "payload", p->fd);
}
