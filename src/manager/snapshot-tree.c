/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots: their directories, how they are mounted, and what a worker does with them, since it
 * takes time. */

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/job.h"
#include "manager/manager.h"
#include "manager/snapshot.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define USAGE_JOBS_MAX 8

/* Short enough that a long chain fits into the options of one mount, and free of characters that
 * have a meaning there. */
#define LINK_NAME "o"

static size_t index_of(const char *name) {
        size_t i = 0;

        while (!streq(snapshotter_get(i)->name, name))
                i++;
        return i;
}

const char *snapshotter_reason(const Manager *m, const char *name) {
        return m->snapshotters[index_of(name)].reason;
}

int snapshotter_directory(const Manager *m, const char *name) {
        return m->snapshotters[index_of(name)].dir_fd;
}

static int make_link(Manager *m, Error *e) {
        _cleanup_free_ char *target = NULL, *path = NULL;
        char now[PATH_MAX];
        ssize_t n;

        if (asprintf(&target, "%s/" OVERLAYFS_DIRECTORY, m->state_dir) < 0 ||
            asprintf(&path, "%s/" LINK_NAME, m->runtime_dir) < 0)
                return -ENOMEM;
        n = readlink(path, now, sizeof(now) - 1);
        now[MAX_OF(n, 0)] = '\0';
        if (n < 0 || !streq(now, target)) {
                if (n >= 0)
                        (void) unlink(path);
                if (symlink(target, path) < 0)
                        return error_setf(e, -errno, "Failed to make the link %s: %m", path);
        }
        m->snapshots_link = TAKE_PTR(path);
        return 0;
}

void snapshotters_check(Manager *m, bool check) {
        _cleanup_error_ Error link = ERROR_NULL;

        /* only mounts of long chains need it */
        if (make_link(m, &link) != 0)
                log_warning("%s", error_text(&link));
        for (size_t i = 0; check && i < SNAPSHOTTERS_MAX; i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                const Snapshotter *s = snapshotter_get(i);
                int r;

                r = s->check(m->snapshotters[i].dir_fd, &e);
                if (r == 0)
                        continue;
                m->snapshotters[i].reason = strdup(error_text_of(r, &e));
                log_error("The snapshotter \"%s\" is not available: %s", s->name,
                          error_text_of(r, &e));
        }
}

bool snapshot_needs_copy(const char *snapshotter, int64_t parent) {
        return parent > 0 && snapshotter_find(snapshotter)->copies;
}

int snapshot_directory_make(Manager *m, const char *snapshotter, int64_t id, int64_t parent,
                            const char *tree, Error *e) {
        size_t i = index_of(snapshotter);

        return snapshotter_get(i)->prepare(m->snapshotters[i].dir_fd, (uint64_t) id,
                                           (uint64_t) parent, tree, e);
}

int snapshot_directory_check(Manager *m, const char *snapshotter, int64_t id, Error *e) {
        _cleanup_close_ int fd = -1;

        return overlayfs_open_tree(snapshotter_directory(m, snapshotter), (uint64_t) id, &fd, e);
}

int snapshot_mounts(Manager *m, const SnapshotPlace *place, const char *key, SnapshotMount **ret,
                    size_t *ret_n, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        SnapshotMount *mount;
        size_t n = 0;
        int r;

        r = snapshot_stat(m, place, key, &s, e);
        if (r != 0)
                return r;
        if (s->kind == SNAPSHOT_COMMITTED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is committed: only active ones and views "
                                  "have mounts",
                                  key);
        r = snapshot_directory_check(m, s->snapshotter, s->id, e);
        if (r == 0)
                r = db_snapshot_chain(m->db, s->id, &chain, &n, e);
        if (r != 0)
                return r;
        mount = calloc(1, sizeof(SnapshotMount));
        if (!mount)
                return -ENOMEM;
        r = snapshotter_find(s->snapshotter)
                            ->mount(
                                            &(SnapshotStack){
                                                            .root = m->state_dir,
                                                            .link = m->snapshots_link,
                                                            .n = (uint64_t) s->id,
                                                            .view = s->kind == SNAPSHOT_VIEW,
                                                            .parents = (uint64_t *) chain + 1,
                                                            .n_parents = n - 1,
                                            },
                                            mount, e);
        if (r != 0) {
                snapshot_mounts_free(mount, 1);
                return r;
        }
        *ret = mount;
        *ret_n = 1;
        return 0;
}

static const JobType copy_type = {.name = "copy", .action = "snapshot-manage"};
static const JobType usage_type = {.name = "usage", .action = "snapshot-manage"};

typedef struct Work {
        Manager *manager;
        int dir_fd; /* the manager's */
        SnapshotCopyCallback copied;
        SnapshotUsageCallback counted;
        void *userdata;
} Work;

static int work_start(Manager *m, const JobType *type, const char *namespace,
                      const char *description, char *const *arguments, Callback callback,
                      const Work *work, Error *e) {
        _cleanup_free_ Work *w = malloc(sizeof(Work));
        Job *job;
        int r;

        if (!w)
                return -ENOMEM;
        *w = *work;
        w->manager = m;
        r = job_start(m,
                      &(JobRequest){
                                      .type = type,
                                      .namespace = namespace,
                                      .description = description,
                                      .arguments = arguments,
                      },
                      &job, e);
        if (r == 0) {
                r = job_wait(job, callback, w, e);
                if (r != 0)
                        (void) job_cancel(job, NULL);
        }
        if (r == 0)
                TAKE_PTR(w);
        return r;
}

/* Whoever did not take the tree does not want it. */
static void discard(const Work *w, const char *tree) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (faccessat(w->dir_fd, tree, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        if (overlayfs_discard(w->dir_fd, tree, &e) != 0)
                log_warning("%s", error_text(&e));
        (void) sweeper_sweep(w->manager->sweeper);
}

static void on_copied(Object *job, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ Work *w = userdata;
        const char *tree = NULL;

        if (r == 0 &&
            (json_get_string(JOB(job)->result, "result", "directory", &tree, &local) <= 0 ||
             !startswith(tree, ".new-") || strchr(tree, '/'))) {
                r = error_setf(&local, -EBADMSG, "The worker does not tell what it has copied");
                tree = NULL;
                e = &local;
        }
        w->copied(r, e, tree, w->userdata);
        if (tree)
                discard(w, tree);
}

/* SNAPSHOTTER SOURCE...: a whole tree, or the layers that it consists of. */
static int copy_arguments(Manager *m, const char *snapshotter, const Snapshot *s, char ***ret,
                          Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        size_t n = 0;
        int r;

        r = db_snapshot_chain(m->db, s->id, &chain, &n, e);
        if (r != 0)
                return r;
        if (snapshotter_find(s->snapshotter)->copies)
                n = 1;
        r = strv_extend(&l, snapshotter);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = strv_extendf(&l, "%s/%" PRIi64, s->snapshotter, chain[i]);
        if (r == 0)
                *ret = TAKE_PTR(l);
        return r;
}

int snapshot_copy(Manager *m, const char *snapshotter, const char *namespace, int64_t source,
                  SnapshotCopyCallback callback, void *userdata, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_strv_free_ char **arguments = NULL;
        int r;

        r = db_snapshot_get(m->db, source, &s, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The snapshot to copy is gone");
        if (r != 1)
                return r;
        r = copy_arguments(m, snapshotter, s, &arguments, e);
        if (r != 0)
                return r;
        return work_start(m, &copy_type, namespace, s->key, arguments, on_copied,
                          &(Work){
                                          .dir_fd = snapshotter_directory(m, snapshotter),
                                          .copied = callback,
                                          .userdata = userdata,
                          },
                          e);
}

static void on_counted(Object *job, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ Work *w = userdata;
        uint64_t bytes = 0, inodes = 0;
        json_t *result = r == 0 ? JOB(job)->result : NULL;

        if (r == 0 &&
            (json_get_uint64(result, "result", "bytes", INT64_MAX, &bytes, &local) <= 0 ||
             json_get_uint64(result, "result", "inodes", INT64_MAX, &inodes, &local) <= 0)) {
                r = error_setf(&local, -EBADMSG, "The worker does not tell what it has counted");
                e = &local;
        }
        w->counted(r, e, bytes, inodes, w->userdata);
}

static int usage_start(Manager *m, const Snapshot *s, bool sync, SnapshotUsageCallback callback,
                       void *userdata, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        int r = 0;

        if (sync)
                r = strv_extend(&arguments, "--sync");
        if (r == 0)
                r = strv_extendf(&arguments, "%s/%" PRIi64, s->snapshotter, s->id);
        if (r != 0)
                return r;
        return work_start(m, &usage_type, s->namespace, s->key, arguments, on_counted,
                          &(Work){.dir_fd = -1, .counted = callback, .userdata = userdata}, e);
}

static int count_usage_job(Object *o, void *userdata) {
        *(unsigned *) userdata += JOB(o)->type == &usage_type;
        return 0;
}

int snapshot_usage(Manager *m, const Snapshot *s, SnapshotUsageCallback callback, void *userdata,
                   Error *e) {
        unsigned n = 0;

        (void) object_foreach(m, OBJECT_JOB, NULL, count_usage_job, &n);
        if (n >= USAGE_JOBS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%u snapshots are being counted", n);
        return usage_start(m, s, false, callback, userdata, e);
}

int snapshot_settle(Manager *m, const Snapshot *s, SnapshotUsageCallback callback, void *userdata,
                    Error *e) {
        return usage_start(m, s, true, callback, userdata, e);
}
