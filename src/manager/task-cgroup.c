/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way to a task's payload: its supervisor says in /proc where it is, and the payload is beside
 * it. Nothing is remembered: a cgroup is found when it is needed, and a task that has stopped
 * or whose supervisor is gone has none.
 *
 * Invariant: what is opened belongs to the task. Should the supervisor's pid be another process's
 * by now, that one is not in <unit>/supervisor.
 */

#include "manager/task-cgroup.h"

#include <fcntl.h>

#include "basic/cgroup.h"
#include "basic/fs.h"
#include "manager/task-internal.h"

#define CGROUP_PROCS_MAX (2U << 20)
#define CGROUP_DEPTH_MAX 64U

static int no_cgroup(const Task *t, Error *e) {
        return error_setf(e, CTR_NOT_FOUND, "Task \"%s\": cgroup does not exist",
                          t->process.object.name);
}

/* "ctr.slice/ctr-x.scope/supervisor" becomes "ctr.slice/ctr-x.scope/payload" (a shorter name). */
static bool payload_path(char *path, const char *unit) {
        char *last = strrchr(path, '/'), *scope;

        if (!last || !streq(last, "/supervisor"))
                return false;
        *last = '\0';
        scope = strrchr(path, '/');
        if (!streq(scope ? scope + 1 : path, unit))
                return false;
        strcpy(last, "/payload");
        return true;
}

int task_cgroup_open(const Task *t, int *ret_fd, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int root = -1;
        int fd, r;

        assert(t && ret_fd);

        /* the supervisor may need a moment to leave what has ended */
        if (!t->supervisor || t->process.status == TASK_STOPPED)
                return no_cgroup(t, e);
        r = cgroup_path_of(supervisor_pid(t->supervisor), &path, &local);
        if (r == -ENOENT || r == -ESRCH || r == CTR_UNAVAILABLE)
                return no_cgroup(t, e);
        if (r != 0)
                return error_propagate(e, r, &local);
        if (!payload_path(path, t->unit))
                return no_cgroup(t, e);

        r = cgroup_root_open(&root, e);
        if (r != 0)
                return r;
        fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? no_cgroup(t, e)
                                       : error_setf(e, -errno, "Failed to open cgroup /%s: %m",
                                                    path);
        *ret_fd = fd;
        return 0;
}

bool scope_is_deserted(const char *unit) {
        _cleanup_free_ char *init = NULL, *path = NULL;
        _cleanup_close_ int root = -1;
        char *end;

        /* systemd itself is in init.scope, beside its slices */
        if (cgroup_root_open(&root, NULL) != 0 || cgroup_path_of(1, &init, NULL) != 0)
                return false;
        end = strrchr(init, '/');
        end = end ? end + 1 : init;
        if (!streq(end, "init.scope"))
                return false;
        *end = '\0';
        if (asprintf(&path, "%sctr.slice/%s", init, unit) < 0) {
                path = NULL;
                return false;
        }
        return cgroup_is_populated(root, path) == 0;
}

typedef struct PidList {
        pid_t *pids;
        size_t n, allocated;
} PidList;

static int pids_append(PidList *l, pid_t pid) {
        if (l->n == l->allocated) {
                size_t n = MAX_OF(l->allocated * 2, (size_t) 64);
                pid_t *grown;

                if (l->n >= CGROUP_PIDS_MAX)
                        return -E2BIG;
                grown = reallocarray(l->pids, n, sizeof(pid_t));
                if (!grown)
                        return -ENOMEM;
                l->pids = grown;
                l->allocated = n;
        }
        l->pids[l->n++] = pid;
        return 0;
}

static int pids_read(int fd, PidList *l) {
        _cleanup_free_ char *text = NULL;
        char *saved = NULL;
        int r;

        r = file_read_at(fd, "cgroup.procs", CGROUP_PROCS_MAX, &text, NULL);
        if (r == -EOPNOTSUPP) /* a threaded cgroup: its processes are listed further up */
                return 0;
        /* it was removed meanwhile: nobody is in it */
        if (r == -ENODEV || r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        for (char *s = strtok_r(text, "\n", &saved); s; s = strtok_r(NULL, "\n", &saved)) {
                long pid = strtol(s, NULL, 10);

                r = pid > 0 ? pids_append(l, (pid_t) pid) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int pids_walk(int fd, unsigned depth, PidList *l) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r;

        if (depth > CGROUP_DEPTH_MAX)
                return -ELOOP;
        r = pids_read(fd, l);
        if (r < 0)
                return r;
        dir = dir_stream_open_at(fd, ".");
        if (!dir)
                return -errno;
        while ((errno = 0, de = readdir(dir))) {
                _cleanup_close_ int child = -1;

                if (de->d_type != DT_DIR || de->d_name[0] == '.')
                        continue;
                child = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (child < 0 && errno == ENOENT)
                        continue;
                r = child < 0 ? -errno : pids_walk(child, depth + 1, l);
                if (r < 0)
                        return r;
        }
        return -errno;
}

static int pid_compare(const void *a, const void *b) {
        pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;

        return (x > y) - (x < y);
}

int cgroup_read_pids(int cgroup_fd, pid_t **ret, size_t *ret_n) {
        PidList l = {};
        size_t n = 0;
        int r;

        r = pids_walk(cgroup_fd, 0, &l);
        if (r < 0) {
                free(l.pids);
                return r;
        }
        if (l.n > 0)
                qsort(l.pids, l.n, sizeof(pid_t), pid_compare);
        /* one that moved while we looked was seen twice */
        for (size_t i = 0; i < l.n; i++)
                if (n == 0 || l.pids[n - 1] != l.pids[i])
                        l.pids[n++] = l.pids[i];
        *ret = l.pids;
        *ret_n = n;
        return 0;
}
