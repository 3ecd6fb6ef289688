/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "basic/cgroup.h"
#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "oci/scope.h"
#include "runtime/cgroup-tree.h"
#include "runtime/path.h"

#define FREEZE_USEC     (10 * USEC_PER_SEC)
#define CONTROLLERS_MAX 1024U

static bool has_word(const char *list, const char *word, size_t n) {
        for (const char *p = list; (p = strstr(p, word)); p += n)
                if ((p == list || p[-1] == ' ') && strchr(" \n", p[n]))
                        return true;
        return false;
}

/* Hands down what can be handed down; what a limit needs and is missing then is told by the limit.
 */
static void enable_controllers(int fd) {
        _cleanup_free_ char *have = NULL, *enabled = NULL;
        char one[64];

        if (file_read_at(fd, "cgroup.controllers", CONTROLLERS_MAX, &have, NULL) < 0 ||
            file_read_at(fd, "cgroup.subtree_control", CONTROLLERS_MAX, &enabled, NULL) < 0)
                return;
        for (const char *p = have; *p && *p != '\n'; p += strspn(p, " ")) {
                size_t n = strcspn(p, " \n");
                int r = 0;

                (void) snprintf(one, sizeof(one), "+%.*s", (int) n, p);
                if (!has_word(enabled, one + 1, n))
                        r = cgroup_attribute_write(fd, "cgroup.subtree_control", one);
                if (r < 0)
                        log_debug_errno(r, "Failed to enable the controller %s: %m", one + 1);
                p += n;
        }
}

/* Opens the directory, which is made if it is not there. */
static int make_one(int parent_fd, const char *name) {
        bool made = mkdirat(parent_fd, name, 0755) >= 0;
        int fd, r;

        if (!made && errno != EEXIST)
                return -errno;
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0)
                return fd;
        r = -errno;
        if (made)
                (void) unlinkat(parent_fd, name, AT_REMOVEDIR);
        return r;
}

/* Makes the directories on the way, each with the controllers of the one above. */
static int make_directory(const char *path, int *ret_fd, Error *e) {
        const char *rest = path;
        _cleanup_close_ int fd = -1;
        char name[NAME_MAX + 1];
        int r;

        r = cgroup_root_open(&fd, e);
        if (r != 0)
                return r;
        while ((r = path_next(&rest, name)) > 0) {
                int child_fd;

                enable_controllers(fd);
                child_fd = make_one(fd, name);
                if (child_fd < 0)
                        return error_setf(e, child_fd, "Failed to make the cgroup %s: %m", path);
                fd_close(fd);
                fd = child_fd;
        }
        if (r < 0)
                return error_setf(e, r, "Failed to make the cgroup %s: %m", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* A container that runs there already would share its limits, and its end. */
static int check_empty(int fd, const char *path, Error *e) {
        _cleanup_close_ int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        uint64_t populated = 0;
        int r;

        r = events_fd < 0 ? -errno : cgroup_flat_file_get(events_fd, "populated", &populated);
        if (r < 0)
                return error_setf(e, r, "Failed to see whether the cgroup %s is empty: %m", path);
        return populated != 0 ? error_setf(e, CTR_FAILED_PRECONDITION,
                                           "container's cgroup is not empty: %s", path)
                              : 0;
}

static bool is_refusal(int r) {
        return r == -EACCES || r == -EPERM || r == -EROFS || r == -ENOENT ||
               r == CTR_NOT_IMPLEMENTED || r == CTR_UNAVAILABLE;
}

/* What is not ours must not be ended with us. */
static int make_scope(State *s, const char *slice, pid_t pid, const Limits *limits, int *ret_fd,
                      Error *e) {
        int r;

        r = scope_start(s->user_bus, s->scope, slice, s->id, pid, limits, e);
        if (r != 0) {
                (void) free_and_strdup(&s->scope, NULL);
                return r;
        }
        r = cgroup_path_of(pid, &s->cgroup, e);
        return r == 0 ? state_open_cgroup(s, ret_fd, e) : r;
}

/* It may be another's: as long as that one uses it, it stays. */
static void remove_unused(const char *path) {
        _cleanup_close_ int root_fd = -1;

        if (cgroup_root_open(&root_fd, NULL) == 0)
                (void) unlinkat(root_fd, path, AT_REMOVEDIR);
}

static int make_own(State *s, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = make_directory(s->cgroup, &fd, e);
        if (r == 0) {
                r = check_empty(fd, s->cgroup, e);
                if (r != 0 && r != CTR_FAILED_PRECONDITION)
                        remove_unused(s->cgroup);
        }
        if (r != 0) {
                (void) free_and_strdup(&s->cgroup, NULL);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int cgroup_make(const Context *c, State *s, const Limits *limits, int *ret_fd, Error *e) {
        _cleanup_error_ Error refused = ERROR_NULL;
        int r;

        *ret_fd = -1;
        if (s->scope)
                return 0;
        r = make_own(s, ret_fd, &refused);
        if (r != 0 && c->rootless && is_refusal(r) && limits_are_none(limits))
                return 0;
        return r != 0 ? error_propagate(e, r, &refused) : 0;
}

int cgroup_limit(const Context *c, State *s, const char *slice, pid_t pid, const Limits *limits,
                 int *fd, Error *e) {
        int r;

        r = s->scope ? make_scope(s, slice, pid, limits, fd, e) : 0;
        return r == 0 && *fd >= 0 ? limits_apply(limits, *fd, c->rootless, e) : r;
}

/* Waits until key of cgroup.events is value. 1 when it is, 0 at the deadline. */
static int wait_for_event(int cgroup_fd, const char *key, uint64_t wanted, uint64_t deadline) {
        _cleanup_close_ int fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLPRI};
                uint64_t value = 0, now;
                int r;

                r = cgroup_flat_file_get(fd, key, &value);
                if (r < 0)
                        return r;
                if (value == wanted)
                        return 1;
                now = now_monotonic();
                if (now >= deadline)
                        return 0;
                if (poll(&p, 1, (int) ((deadline - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                        return -errno;
        }
}

int cgroup_freeze(int cgroup_fd, bool freeze, Error *e) {
        int r;

        r = cgroup_attribute_write(cgroup_fd, "cgroup.freeze", freeze ? "1" : "0");
        if (r == 0)
                r = wait_for_event(cgroup_fd, "frozen", freeze, now_monotonic() + FREEZE_USEC);
        if (r > 0)
                return 0;
        /* half frozen is no state to leave it in */
        if (freeze)
                (void) cgroup_attribute_write(cgroup_fd, "cgroup.freeze", "0");
        return error_setf(e, r < 0 ? r : CTR_DEADLINE_EXCEEDED, "Failed to %s the container: %s",
                          freeze ? "freeze" : "thaw",
                          r < 0 ? strerror(-r) : "its processes do not react");
}

static int remove_directory(const char *path, Error *e) {
        _cleanup_close_ int root_fd = -1, fd = -1;
        int r;

        r = cgroup_root_open(&root_fd, e);
        if (r != 0)
                return r;
        fd = path_open(root_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd == -ENOENT ? 0 : error_setf(e, fd, "Failed to open cgroup %s: %m", path);
        r = cgroup_remove_tree(root_fd, path, fd);
        return r < 0 ? error_setf(e, r, "Failed to remove the cgroup %s: %m", path) : 0;
}

static int empty(const State *s, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = state_open_cgroup(s, &fd, NULL);
        if (r != 0)
                return 0; /* gone */
        r = wait_for_event(fd, "populated", 0, 0);
        if (r == 0)
                r = cgroup_attribute_write(fd, "cgroup.kill", "1");
        if (r == 0)
                r = wait_for_event(fd, "populated", 0, now_monotonic() + REMOVE_TIMEOUT);
        if (r > 0 || r == -ENODEV || r == -ENOENT)
                return 0;
        return error_setf(e, r < 0 ? r : CTR_DEADLINE_EXCEEDED,
                          "Failed to kill what is in the cgroup %s: %s", s->cgroup,
                          r < 0 ? strerror(-r) : "it does not die");
}

int cgroup_destroy(const State *s, Error *e) {
        int r = 0;

        if (s->cgroup) {
                r = empty(s, e);
                if (r != 0)
                        return r;
        }
        r = resctrl_remove(&s->groups, NULL, e);
        if (r != 0)
                return r;
        if (s->scope)
                return scope_stop(s->user_bus, s->scope, e);
        return s->cgroup ? remove_directory(s->cgroup, e) : 0;
}
