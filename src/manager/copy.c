/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/snapshot.h"
#include "manager/task.h"
#include "manager/version.h"
#include "snapshot/overlayfs.h"

#define CHANGES_SIZE_MAX      (32U * 1024 * 1024)
#define MOUNT_POINTS_SIZE_MAX (64U * 1024)

/* Appends numbers to a list. The first n_trees are whole trees. */
static int layer_list(const char *snapshotter, const int64_t *ids, size_t n, size_t n_trees,
                      char **ret) {
        size_t size = n * (strlen(snapshotter) + 24), used = 0;
        char *list = malloc(size);

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                used += (size_t) sprintf(list + used, "%s%s%s%" PRIi64, i > 0 ? "," : "",
                                         i < n_trees ? snapshotter : "", i < n_trees ? "/" : "",
                                         ids[i]);
        *ret = list;
        return 0;
}

/* How many of the chain, from its top on, are of the container's snapshotter: all below belong to
 * images. */
static int count_trees(const Container *c, const int64_t *chain, size_t n, size_t *ret, Error *e) {
        size_t k = 0;

        for (bool found = snapshotter_find(c->snapshotter)->copies; found && k < n; k += found) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;
                int r = db_snapshot_get(c->object.manager->db, chain[k], &s, e);

                if (r != 0 && r != 1)
                        return r;
                found = r == 1 && streq(s->snapshotter, c->snapshotter);
        }
        *ret = k;
        return 0;
}

int container_layers(const Container *c, size_t n_own, char **ret_own, char **ret_lower, Error *e) {
        _cleanup_free_ char *own = NULL, *lower = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        size_t n = 0, n_trees;
        int r;

        r = db_snapshot_chain(c->object.manager->db, c->snapshot, &chain, &n, e);
        if (r != 0)
                return r;
        if (n == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container \"%s\" has lost its snapshot", c->object.name);
        n_own = n_own > 0 ? MIN_OF(n, n_own) : n;
        r = count_trees(c, chain, n, &n_trees, e);
        if (r == 0)
                r = layer_list(c->snapshotter, chain, n_own, n_trees, &own);
        if (r == 0 && n_own < n)
                r = layer_list(c->snapshotter, chain + n_own, n - n_own,
                               n_trees > n_own ? n_trees - n_own : 0, &lower);
        if (r != 0)
                return r;
        *ret_own = TAKE_PTR(own);
        if (ret_lower)
                *ret_lower = TAKE_PTR(lower);
        return 0;
}

static const JobType type_out = {.name = "copy",
                                 .verb = "copy-out",
                                 .action = "container-export",
                                 .commit = job_commit_bytes};
static const JobType type_in = {.name = "copy",
                                .verb = "copy-in",
                                .action = "container-copy",
                                .commit = job_commit_bytes};
static const JobType type_export = {.name = "export",
                                    .verb = "export-root",
                                    .action = "container-export",
                                    .commit = job_commit_bytes};

/* The same for a container without a task. */
static const JobType type_in_layers = {.name = "copy",
                                       .verb = "copy-in",
                                       .action = "container-copy",
                                       .commit = job_commit_bytes};

/* Such a job is under way, whether or not its worker has locked the snapshot by now. One that began
 * while there was a task goes on when that has ended: it has the mount of its root. */
static int is_writer(Object *o, void *userdata) {
        const Container *c = userdata;
        const Job *j = JOB(o);

        return (j->type == &type_in || j->type == &type_in_layers) && !j->ended &&
               streq(j->namespace, c->object.namespace) && streq(j->description, c->object.name);
}

int container_check_writers(const Container *c, Error *e) {
        Manager *m = c->object.manager;
        bool busy = object_foreach(m, OBJECT_JOB, NULL, is_writer, (void *) c) != 0;
        _cleanup_close_ int fd = -1;
        char name[OVERLAYFS_NAME_SIZE];

        (void) snprintf(name, sizeof(name), "%" PRIi64, c->snapshot);
        fd = openat(snapshotter_directory(m, c->snapshotter), name,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (busy || (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Files are being copied into the container \"%s\"",
                                  c->object.name);
        return 0;
}

static bool has_root(const Task *t) {
        TaskStatus s = t->process.status;

        return s == TASK_CREATED || s == TASK_RUNNING || s == TASK_PAUSING || s == TASK_PAUSED;
}

/* Whether the pid is, at this moment, that of a process of the task. */
static int check_pid(Task *t, pid_t pid, Error *e) {
        _cleanup_free_ TaskPid *pids = NULL;
        size_t n;
        int r;

        r = task_pids(t, &pids, &n, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (pids[i].pid == pid)
                        return 0;
        return -ESRCH;
}

/* The root directory of init, as it sees it, and its user namespace if that is not ours: what was
 * opened is its own if it was in the task's cgroup after that, and was the same process all the
 * time. */
static int open_root(Task *t, int *ret_fd, int *ret_userns_fd, Error *e) {
        bool mapped = t->container->user_namespace.mode != USER_NAMESPACE_HOST;
        _cleanup_close_ int pidfd = -1, fd = -1, userns_fd = -1;
        pid_t pid = t->process.pid;
        char path[32];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%i/root", (int) pid);
        r = pidfd = pidfd_open_pid(pid);
        if (r >= 0) {
                r = fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = r < 0 ? -errno : 0;
        }
        if (r == 0 && mapped) {
                (void) snprintf(path, sizeof(path), "/proc/%i/ns/user", (int) pid);
                r = userns_fd = open(path, O_RDONLY | O_CLOEXEC);
                r = r < 0 ? -errno : 0;
        }
        if (r == 0)
                r = check_pid(t, pid, e);
        if (r == 0)
                r = pidfd_signal(pidfd, 0);
        if (r != 0)
                return error_setf(e, r == -ESRCH || r == -ENOENT ? CTR_CONFLICT : r,
                                  "The task \"%s\" ended while its files were opened",
                                  t->process.object.name);
        *ret_fd = TAKE_FD(fd);
        *ret_userns_fd = TAKE_FD(userns_fd);
        return 0;
}

static int check_writable(Container *c, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *spec = NULL;
        bool read_only = false;
        json_t *root;
        int r;

        if (c->task && !has_root(c->task) && c->task->process.status != TASK_STOPPED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The task of the container \"%s\" is being made", c->object.name);
        r = container_read_spec(c, &spec, e);
        if (r == 0)
                r = json_parse(spec, strlen(spec), "config.json", &j, e);
        if (r != 0)
                return r;
        r = json_get_object(j, "", "root", &root, e);
        if (r > 0)
                r = json_get_bool(root, "root", "readonly", &read_only, e);
        if (r >= 0 && read_only)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The root file system of the container \"%s\" is read-only",
                                  c->object.name);
        return MIN_OF(r, 0);
}

/* Starts a job about c's files: those of its task, if it may be asked and there is one. */
static int start(Container *c, const JobType *type, char **arguments, const char *path, int fd,
                 bool task, void *userdata, Job **ret, Error *e) {
        _cleanup_strv_free_ char **l = arguments;
        _cleanup_close_ int root_fd = -1, userns_fd = -1;
        JobRequest request = {
                        .type = type,
                        .namespace = c->object.namespace,
                        .description = c->object.name,
                        .userdata = userdata,
        };
        size_t n = 0;
        int r = 0;

        if (path && strlen(path) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "A path has at most %d bytes",
                                  PATH_MAX - 1);
        if (task && c->task && has_root(c->task)) {
                r = open_root(c->task, &root_fd, &userns_fd, e);
                request.files[n++] = (JobFile){.option = "--container-fd", .fd = root_fd};
                if (userns_fd >= 0)
                        request.files[n++] =
                                        (JobFile){.option = "--user-namespace-fd", .fd = userns_fd};
        } else {
                _cleanup_free_ char *layers = NULL;

                r = container_layers(c, 0, &layers, NULL, e);
                if (r == 0)
                        r = strv_extendf(&l, "--layers=%s", layers);
        }
        if (r == 0 && fd >= 0)
                request.files[n++] = (JobFile){.option = "--fd", .fd = fd};
        if (r == 0 && path && (strv_extend(&l, "--") < 0 || strv_extend(&l, path) < 0))
                r = -ENOMEM;
        if (r != 0)
                return r;
        request.arguments = l;
        return job_start(c->object.manager, &request, ret, e);
}

int container_copy_out(Container *c, const CopyRequest *request, Job **ret, Error *e) {
        char **l = NULL;

        if (request->follow && strv_extend(&l, "--follow-link") < 0)
                return -ENOMEM;
        return start(c, &type_out, l, request->path, request->fd, true, NULL, ret, e);
}

int container_copy_in(Container *c, const CopyRequest *request, Job **ret, Error *e) {
        bool running = c->task && has_root(c->task);
        char **l = NULL;
        int r;

        r = version_operation_check(c, e);
        if (r == 0)
                r = check_writable(c, e);
        if (r == 0 && !running)
                r = container_check_writers(c, e);
        if (r != 0)
                return r;
        if ((request->keep_kind && strv_extend(&l, "--no-overwrite-dir-non-dir") < 0) ||
            (request->own && strv_extend(&l, "--no-owner") < 0)) {
                strv_free(l);
                return -ENOMEM;
        }
        return start(c, running ? &type_in : &type_in_layers, l, request->path, request->fd, true,
                     NULL, ret, e);
}

int container_export(Container *c, int fd, Job **ret, Error *e) {
        return start(c, &type_export, NULL, NULL, fd, false, NULL, ret, e);
}

static int commit_stat(Job *j, json_t *result, Error *e) {
        static const char *const names[][2] = {{"name", "Name"},
                                               {"size", "Size"},
                                               {"mode", "Mode"},
                                               {"uid", "UID"},
                                               {"gid", "GID"},
                                               {"modified_at", "ModifiedAt"},
                                               {"link_target", "LinkTarget"}};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                json_t *value = json_object_get(result, names[i][0]);
                int r;

                if (!value)
                        return error_setf(e, -EBADMSG, "The worker does not tell the %s",
                                          names[i][0]);
                r = job_set_outcome(j, names[i][1], json_incref(value));
                if (r < 0)
                        return r;
        }
        return 0;
}

static const JobType type_stat = {.name = "stat",
                                  .verb = "stat-path",
                                  .action = "container-export",
                                  .confidential = true,
                                  .commit = commit_stat};

int container_stat_path(Container *c, const char *path, bool follow, Job **ret, Error *e) {
        char **l = NULL;

        if (follow && strv_extend(&l, "--follow-link") < 0)
                return -ENOMEM;
        return start(c, &type_stat, l, path, -1, true, NULL, ret, e);
}

/* What the worker has written: a letter, a path and a NUL for each change. */
static int commit_changes(Job *j, json_t *result, Error *e) {
        _cleanup_json_ json_t *changes = json_array();
        _cleanup_free_ char *data = NULL;
        int fd = *(int *) j->userdata, r;
        size_t size;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        r = fd_read_all(fd, CHANGES_SIZE_MAX, &data, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read the list of changes: %m");
        for (size_t i = 0; i < size; i += strlen(data + i) + 1)
                if (json_array_append_new(changes, json_string(data + i)) < 0)
                        return error_setf(e, -EBADMSG, "The list of changes is no text");
        return job_set_outcome(j, "Changes", json_incref(changes));
}

static void destroy_changes(void *userdata) {
        int *fd = userdata;

        fd_close(*fd);
        free(fd);
}

static const JobType type_diff = {.name = "diff",
                                  .action = "container-export",
                                  .confidential = true,
                                  .commit = commit_changes,
                                  .destroy = destroy_changes};

/* So many that they are no arguments any more can only be in a specification that the caller wrote:
 * what is beyond is listed as a change. */
static int add_mount_points(Container *c, char ***l, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *spec = NULL;
        json_t *mounts, *mount;
        size_t i, size = 0;
        int r;

        r = container_read_spec(c, &spec, e);
        if (r == 0)
                r = json_parse(spec, strlen(spec), "config.json", &j, e);
        if (r == 0)
                r = json_get_array(j, "", "mounts", SIZE_MAX, &mounts, e);
        if (r <= 0)
                return r;
        json_array_foreach(mounts, i, mount) {
                const char *destination = json_string_value(json_object_get(mount, "destination"));

                size += strlen(strempty(destination));
                if (size > MOUNT_POINTS_SIZE_MAX)
                        break;
                if (!isempty(destination) && strv_extendf(l, "--mount-point=%s", destination) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int container_diff(Container *c, unsigned max, Job **ret, Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        int *fd = malloc(sizeof(int));
        int r;

        if (!fd)
                return -ENOMEM;
        *fd = memfd_create("changes", MFD_CLOEXEC);
        r = *fd < 0 ? -errno : strv_extendf(&l, "--max=%u", max);
        if (r == 0)
                r = add_mount_points(c, &l, e);
        if (r == 0)
                r = start(c, &type_diff, TAKE_PTR(l), NULL, *fd, false, fd, ret, e);
        if (r != 0)
                destroy_changes(fd);
        return r;
}
