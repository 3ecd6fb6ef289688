/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-worker copy-up --layers=N,... PATH...: what new volumes begin with. For each path a tree
 * ".new-<pid>-<random>" of the native snapshotter is made, a copy of the directory that the image
 * has there; an empty one where it has none. They are there all or not at all.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "config.h"
#include "snapshot/copy.h"
#include "snapshot/inside.h"
#include "snapshot/native.h"
#include "worker/container-root.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/store.h"
#include "worker/worker.h"

#define PATHS_MAX 2048

typedef struct CopyUp {
        WorkerJob job;
        Store store;
        ContainerRoot image;
        const char *root;
        int control_fd;
        char **paths;
        size_t n_paths;
        json_t *directories; /* names of what was made */
} CopyUp;

/* What the image has at path goes into the empty directory to_fd. */
static int copy_path(CopyUp *c, const char *path, int to_fd, Error *e) {
        _cleanup_(inside_file_clear) InsideFile f = INSIDE_FILE_NULL;
        _cleanup_close_ int fd = -1;
        CopySource source;
        int r;

        r = inside_find(c->image.fd, path, true, &f, NULL);
        if (r == CTR_NOT_FOUND)
                return 0;
        if (r == 0 && !S_ISDIR(f.st.st_mode))
                r = CTR_FAILED_PRECONDITION;
        if (r > 0)
                return error_setf(e, r, "The image has no directory at \"%.200s\" for a volume",
                                  path);
        if (r < 0)
                return error_setf(e, r, "Failed to open \"%.200s\" in the image: %m", path);
        fd = openat(f.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open \"%.200s\" in the image: %m", path);
        /* a layer by itself is no overlay: its marks are there to be seen */
        source = (CopySource){.fd = fd, .layer = c->image.n_layers == 1};
        return tree_copy(&source, 1, to_fd, &c->job.canceled, e);
}

static int make_tree(CopyUp *c, const char *path, int dir_fd, Error *e) {
        char name[OVERLAYFS_NAME_SIZE], published[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fs_fd = -1;
        int r;

        r = overlayfs_create(dir_fd, name, &fs_fd, e);
        if (r != 0)
                return r;
        r = copy_path(c, path, fs_fd, e);
        if (r == 0)
                r = overlayfs_publish(dir_fd, name, published, e);
        if (r != 0) {
                (void) tree_remove_at(dir_fd, name);
                return r;
        }
        if (json_array_append_new(c->directories, json_string(published)) < 0) {
                (void) tree_remove_at(dir_fd, published);
                return -ENOMEM;
        }
        return 0;
}

static void remove_trees(CopyUp *c, int dir_fd) {
        json_t *name;
        size_t i;

        json_array_foreach(c->directories, i, name)
                (void) tree_remove_at(dir_fd, json_string_value(name));
}

static int run(WorkerJob *j, Error *e) {
        _cleanup_close_ int dir_fd = -1;
        CopyUp *c = (CopyUp *) j;
        int r = 0;

        dir_fd = dir_open_make_at(c->store.root_fd, NATIVE_DIRECTORY, 0700);
        if (dir_fd < 0)
                return error_setf(e, dir_fd, "Failed to open %s/" NATIVE_DIRECTORY ": %m", c->root);
        for (size_t i = 0; r == 0 && i < c->n_paths; i++)
                r = make_tree(c, c->paths[i], dir_fd, e);
        if (r == 0 && syncfs(dir_fd) < 0)
                r = error_setf(e, -errno, "Failed to write the volumes to disk: %m");
        if (r != 0)
                remove_trees(c, dir_fd);
        return r;
}

static json_t *progress(WorkerJob *j) {
        return json_pack("{s:s, s:s, s:[]}", "type", "progress", "phase", j->type->name, "layers");
}

static json_t *result(WorkerJob *j) {
        return json_pack("{s:s, s:O}", "type", "result", "directories",
                         ((const CopyUp *) j)->directories);
}

static const JobType type = {.name = "copy-up", .run = run, .progress = progress, .result = result};

static int parse_options(int argc, char *argv[], CopyUp *c, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &c->root},
                        {"control-fd", option_control_fd, &c->control_fd},
                        {"layers", option_layers, &c->image},
                        {},
        };
        int r;

        r = options_parse(options, argc, argv, &c->paths, e);
        if (r != 0)
                return r;
        c->n_paths = strv_length(c->paths);
        if (c->image.n_layers == 0 || c->n_paths == 0 || c->n_paths > PATHS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--layers and 1 to %i paths are needed",
                                  PATHS_MAX);
        return 0;
}

/* The image is mounted in a namespace that is left, the store is written to in another one. */
static int copy_up(CopyUp *c, Error *e) {
        int r;

        r = container_root_mount(&c->image, c->root, 0, false, e);
        if (r == 0)
                r = container_root_leave(c->root, e);
        if (r != 0)
                return r;
        sandbox_let_read(c->image.fd);
        r = store_open_root(&c->store, c->root, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT, &c->store.root_fd, e);
        return r == 0 ? report_run(&c->job, e) : r;
}

int verb_copy_up(int argc, char *argv[]) {
        CopyUp c = {
                        .store = STORE_NULL,
                        .image = CONTAINER_ROOT_NULL,
                        .root = CTR_STATE_DIR,
                        .control_fd = -1,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        r = parse_options(argc, argv, &c, &e);
        if (r == 0)
                r = job_init(&c.job, &type, c.control_fd, &e);
        if (r == 0) {
                c.directories = json_array();
                r = c.directories ? copy_up(&c, &e) : -ENOMEM;
                store_close(&c.store);
                container_root_clear(&c.image);
                json_decref(c.directories);
                job_clear(&c.job);
        }
        return report_end(c.control_fd, r, &e);
}
