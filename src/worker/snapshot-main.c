/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-worker copy SNAPSHOTTER SOURCE..., and ctr-worker usage SNAPSHOTTER/N: what takes time with
 * the trees of snapshots. A copy is published as a directory ".new-<random>" of the snapshotter,
 * complete and on the disk.
 */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "config.h"
#include "snapshot/copy.h"
#include "snapshot/overlayfs.h"
#include "snapshot/snapshotter.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/store.h"
#include "worker/worker.h"

typedef struct SnapshotJob {
        WorkerJob job;
        Store store;
        const char *root;
        int control_fd;
        bool sync;
        char **arguments;
        size_t n_arguments;
        char directory[OVERLAYFS_NAME_SIZE];
        TreeUsage usage;
} SnapshotJob;

/* Opens the directory of all snapshots of one kind. */
static int open_snapshots(const SnapshotJob *s, const char *name, const Snapshotter **ret_kind,
                          int *ret_fd, Error *e) {
        const Snapshotter *kind = snapshotter_find(name);
        int fd;

        if (!kind)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There is no snapshotter \"%s\"", name);
        fd = dir_open_make_at(s->store.root_fd, kind->directory, 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open %s/%s: %m", s->root, kind->directory);
        *ret_kind = kind;
        *ret_fd = fd;
        return 0;
}

/* Opens the tree of what is named SNAPSHOTTER/N. */
static int open_tree_of(const SnapshotJob *s, const char *name, const Snapshotter **ret_kind,
                        int *ret_fd, Error *e) {
        const char *slash = strchr(name, '/');
        _cleanup_free_ char *kind = NULL;
        _cleanup_close_ int dir_fd = -1;
        char *end = NULL;
        uint64_t n = 0;
        int r;

        errno = 0;
        if (slash && slash[1] >= '1' && slash[1] <= '9')
                n = strtoull(slash + 1, &end, 10);
        if (!end || *end || errno != 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not SNAPSHOTTER/NUMBER",
                                  name);
        kind = strndup(name, (size_t) (slash - name));
        if (!kind)
                return -ENOMEM;
        r = open_snapshots(s, kind, ret_kind, &dir_fd, e);
        return r != 0 ? r : overlayfs_open_tree(dir_fd, n, ret_fd, e);
}

static void close_sources(CopySource *sources, size_t n) {
        for (size_t i = 0; i < n; i++)
                fd_close(sources[i].fd);
        free(sources);
}

/* The arguments name the nearest first, the copy begins with the lowest. */
static int open_sources(SnapshotJob *s, CopySource *sources, Error *e) {
        size_t n = s->n_arguments - 1;

        for (size_t i = 0; i < n; i++) {
                const Snapshotter *kind;
                CopySource *source = sources + (n - 1 - i);
                int r;

                r = open_tree_of(s, s->arguments[1 + i], &kind, &source->fd, e);
                if (r != 0)
                        return r;
                source->layer = !kind->copies;
        }
        return 0;
}

static int copy_and_publish(SnapshotJob *s, int dir_fd, const CopySource *sources, Error *e) {
        char name[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fs_fd = -1;
        int r;

        r = overlayfs_create(dir_fd, name, &fs_fd, e);
        if (r != 0)
                return r;
        r = tree_copy(sources, s->n_arguments - 1, fs_fd, &s->job.canceled, e);
        if (r == 0)
                r = tree_usage(fs_fd, &s->job.canceled, &s->usage, e);
        if (r == 0 && syncfs(fs_fd) < 0)
                r = error_setf(e, -errno, "Failed to write the copy to disk: %m");
        if (r == 0)
                r = overlayfs_publish(dir_fd, name, s->directory, e);
        if (r != 0)
                (void) tree_remove_at(dir_fd, name);
        return r;
}

static int run_copy(WorkerJob *j, Error *e) {
        SnapshotJob *s = (SnapshotJob *) j;
        size_t n = s->n_arguments - 1;
        _cleanup_close_ int dir_fd = -1;
        const Snapshotter *kind;
        CopySource *sources;
        int r;

        r = open_snapshots(s, s->arguments[0], &kind, &dir_fd, e);
        if (r != 0)
                return r;
        sources = calloc(n, sizeof(CopySource));
        if (!sources)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sources[i].fd = -1;
        r = open_sources(s, sources, e);
        if (r == 0)
                r = copy_and_publish(s, dir_fd, sources, e);
        close_sources(sources, n);
        return r;
}

static int run_usage(WorkerJob *j, Error *e) {
        SnapshotJob *s = (SnapshotJob *) j;
        _cleanup_close_ int fd = -1;
        const Snapshotter *kind;
        int r;

        r = open_tree_of(s, s->arguments[0], &kind, &fd, e);
        if (r != 0)
                return r;
        if (s->sync && syncfs(fd) < 0)
                return error_setf(e, -errno, "Failed to write the snapshot to disk: %m");
        return tree_usage(fd, &s->job.canceled, &s->usage, e);
}

static json_t *progress(WorkerJob *j) {
        return json_pack("{s:s, s:s, s:[]}", "type", "progress", "phase", j->type->name, "layers");
}

static json_t *result(WorkerJob *j) {
        const SnapshotJob *s = (const SnapshotJob *) j;

        return json_pack("{s:s, s:s*, s:I, s:I}", "type", "result", "directory",
                         *s->directory ? s->directory : NULL, "bytes", (json_int_t) s->usage.bytes,
                         "inodes", (json_int_t) s->usage.inodes);
}

static const JobType copy_type = {.name = "copy",
                                  .run = run_copy,
                                  .progress = progress,
                                  .result = result};
static const JobType usage_type = {.name = "usage",
                                   .run = run_usage,
                                   .progress = progress,
                                   .result = result};

static int parse_options(int argc, char *argv[], SnapshotJob *s, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &s->root},
                        {"control-fd", option_control_fd, &s->control_fd},
                        {"sync", option_set, &s->sync},
                        {},
        };
        int r;

        r = options_parse(options, argc, argv, &s->arguments, e);
        if (r == 0)
                s->n_arguments = strv_length(s->arguments);
        return r;
}

static int run_verb(int argc, char *argv[], const JobType *type, size_t min, size_t max,
                    SandboxFlags flags) {
        SnapshotJob s = {.store = STORE_NULL, .root = CTR_STATE_DIR, .control_fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        r = parse_options(argc, argv, &s, &e);
        if (r == 0 && (s.n_arguments < min || s.n_arguments > max))
                r = error_setf(&e, CTR_INVALID_ARGUMENT, "%zu to %zu arguments are needed", min,
                               max);
        if (r == 0)
                r = job_init(&s.job, type, s.control_fd, &e);
        if (r == 0) {
                r = store_open_root(&s.store, s.root, &e);
                if (r == 0)
                        r = sandbox_enter(flags, &s.store.root_fd, &e);
                if (r == 0)
                        r = report_run(&s.job, &e);
                store_close(&s.store);
                job_clear(&s.job);
        }
        return report_end(s.control_fd, r, &e);
}

int verb_copy(int argc, char *argv[]) {
        /* the snapshotter, and what the longest chain consists of */
        return run_verb(argc, argv, &copy_type, 2, 1 + OVERLAYFS_LOWER_MAX, SANDBOX_EXTRACT);
}

int verb_usage(int argc, char *argv[]) {
        return run_verb(argc, argv, &usage_type, 1, 1, SANDBOX_REMOVE);
}
