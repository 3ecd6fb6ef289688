/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker diff: what a container has changed of its image, as a list. */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "config.h"
#include "snapshot/changes.h"
#include "worker/copy.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define CHANGES_MAX 100000U
#define BYTES_MAX   (16U * 1024 * 1024)

typedef struct Listing {
        WorkerJob job;
        ContainerRoot lower; /* and, before it, the snapshot itself */
        char **mount_points;
        int upper_fd, fd;
        uint64_t max, n, bytes; /* n is guarded by the mutex */
} Listing;

/* What the image has not, the set-up of the container had to make before it could mount there. */
static bool is_for_mount(const Listing *l, const char *path) {
        STRV_FOREACH(m, l->mount_points)
                if (path_is_below(*m, path))
                        return true;
        return false;
}

/* A letter, a path and a NUL, or a line for people. */
static int add_change(void *userdata, ChangeKind kind, const char *path, Error *e) {
        _cleanup_free_ char *text = NULL, *record = NULL;
        Listing *l = userdata;
        int n, r;

        if (kind == CHANGE_ADDED && is_for_mount(l, path))
                return 0;
        text = name_to_text(path);
        n = text ? asprintf(&record, "%c%s%s%c", (char) kind, l->fd < 0 ? " " : "", text,
                            l->fd < 0 ? '\n' : '\0')
                 : -1;
        if (n < 0) {
                record = NULL;
                return -ENOMEM;
        }
        l->bytes += (uint64_t) n;
        if (l->n >= l->max || l->bytes > BYTES_MAX)
                return error_setf(
                                e, CTR_RESOURCE_EXHAUSTED,
                                "There are more than %llu changes, or their names are longer than "
                                "%u bytes",
                                (unsigned long long) l->max, BYTES_MAX);
        r = fd_write_all(l->fd < 0 ? STDOUT_FILENO : l->fd, record, (size_t) n);
        if (r < 0)
                return error_setf(e, r, "Failed to write the list of changes: %m");
        (void) pthread_mutex_lock(&l->job.mutex);
        l->n++;
        (void) pthread_mutex_unlock(&l->job.mutex);
        return 0;
}

static int run(WorkerJob *j, Error *e) {
        Listing *l = (Listing *) j;

        return (l->lower.n_trees > 0 ? tree_changes : layer_changes)(l->upper_fd, l->lower.fd,
                                                                     &j->canceled, add_change, l,
                                                                     e);
}

static json_t *progress(WorkerJob *j) {
        return json_pack("{s:s, s:s, s:[]}", "type", "progress", "phase", "diff", "layers");
}

static json_t *result(WorkerJob *j) {
        return json_pack("{s:s, s:I}", "type", "result", "changes",
                         (json_int_t) ((Listing *) j)->n);
}

static const JobType type = {.name = "diff", .run = run, .progress = progress, .result = result};

static int take_max(const WorkerOption *o, const char *value, Error *e) {
        return option_number(o, value, CHANGES_MAX, o->target, e);
}

static int take_mount_point(const WorkerOption *o, const char *value, Error *e) {
        return strv_extend(o->target, value);
}

static int parse_options(int argc, char *argv[], Listing *l, const char **root, int *control_fd,
                         Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, root},
                        {"control-fd", option_control_fd, control_fd},
                        {"layers", option_layers, &l->lower},
                        {"fd", option_fd, &l->fd},
                        {"max", take_max, &l->max},
                        {"mount-point", take_mount_point, &l->mount_points},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r == 0 && (*arguments || l->lower.n_layers == 0))
                r = error_setf(e, CTR_INVALID_ARGUMENT, "--layers and no argument is needed");
        return r;
}

static int open_upper(Listing *l, const char *root, Error *e) {
        _cleanup_close_ int root_fd = -1;

        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", root);
        return container_root_open_layer(&l->lower, 0, root_fd, &l->upper_fd, e);
}

/* The marks of an upper directory can be read by who may set them only. */
static int list_changes(Listing *l, const char *root, Error *e) {
        int r;

        /* before the lower ones are mounted on top of all of them */
        r = open_upper(l, root, e);
        if (r == 0 && l->lower.n_layers > 1)
                r = container_root_mount(&l->lower, root, 1, false, e);
        if (r != 0)
                return r;
        sandbox_let_read(l->upper_fd);
        if (l->lower.fd >= 0)
                sandbox_let_read(l->lower.fd);
        r = sandbox_enter(SANDBOX_READ | SANDBOX_MARKS, NULL, e);
        return r == 0 ? report_run(&l->job, e) : r;
}

int verb_diff(int argc, char *argv[]) {
        Listing l = {.upper_fd = -1, .fd = -1, .lower = CONTAINER_ROOT_NULL, .max = CHANGES_MAX};
        const char *root = CTR_STATE_DIR;
        _cleanup_error_ Error e = ERROR_NULL;
        int control_fd = -1, r;

        block_signals();
        r = parse_options(argc, argv, &l, &root, &control_fd, &e);
        if (r == 0)
                r = job_init(&l.job, &type, control_fd, &e);
        if (r == 0)
                r = list_changes(&l, root, &e);
        r = report_end(control_fd, r, &e);
        job_clear(&l.job);
        container_root_clear(&l.lower);
        strv_free(l.mount_points);
        fd_close(l.upper_fd);
        fd_close(l.fd);
        return r;
}
