/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a new task is made from, in its directory: the OCI document of the container with its root
 * put in (config.json), what the supervisor has to know besides (launch.json), and for the journal
 * the fields that are added to the log lines of its unit.
 *
 * Invariant: written before the supervisor is spawned, and never changed after that (A2.2).
 */

#include <inttypes.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/container-secrets.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/resolver.h"
#include "manager/runtime-name.h"
#include "manager/spec.h"
#include "manager/task-internal.h"
#include "snapshot/overlayfs.h"
#include "unit/log-fields.h"

/* A directory is the root itself, and the document names it; layers are stacked in the launch. */
static int fill_rootfs(Task *t, TaskLaunch *launch, char **spec, Error *e) {
        Manager *m = t->process.object.manager;
        const Container *c = t->container;
        _cleanup_free_ int64_t *chain = NULL;
        _cleanup_free_ char *path = NULL;
        size_t n = 0;
        int r;

        r = db_snapshot_chain(m->db, c->snapshot, &chain, &n, e);
        if (r != 0)
                return r;
        if (n == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container \"%s\" has no root: its snapshot \"%s\" was "
                                  "committed",
                                  t->process.object.name, c->snapshot_key);
        /* an overlay needs something to lie upon */
        if (n == 1 || snapshotter_find(c->snapshotter)->copies) {
                if (asprintf(&path, "%s/%s/%" PRIi64 "/fs", m->state_dir,
                             snapshotter_find(c->snapshotter)->directory, chain[0]) < 0)
                        return -ENOMEM;
                return spec_set_root(spec, path, e);
        }
        launch->rootfs_lower = overlayfs_lowerdir(m->state_dir, (uint64_t *) chain + 1, n - 1);
        launch->rootfs_upper = overlayfs_path(m->state_dir, (uint64_t) chain[0], "fs");
        launch->rootfs_work = overlayfs_path(m->state_dir, (uint64_t) chain[0], "work");
        return launch->rootfs_lower && launch->rootfs_upper && launch->rootfs_work ? 0 : -ENOMEM;
}

static int write_json(int dir_fd, const char *name, json_t *j) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(j, &text);
        return r < 0 ? r : file_write_atomic_at(dir_fd, name, text, strlen(text), 0600, 0);
}

int task_resolve_runtime(const Container *c, const TaskRequest *request, char **ret, Error *e) {
        const char *name = request->runtime ?: c->runtime;
        _cleanup_free_ char *program = NULL;
        int r;

        r = runtime_resolve(c->object.manager, name, &program, e);
        if (r == 0)
                r = runtime_check_user_namespace(name, program, c->user_namespace.mode, e);
        if (r != 0)
                return r;
        if (program && request->checkpoint)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "A task cannot be restored with the runtime \"%s\"", name);
        *ret = TAKE_PTR(program);
        return 0;
}

int launch_write_documents(Task *t, const TaskRequest *request, char **ret_rdt_class, Error *e) {
        _cleanup_(task_launch_clear) TaskLaunch launch = {};
        _cleanup_free_ char *spec = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = container_read_spec(t->container, &spec, e);
        if (r == 0)
                r = spec_read_annotation(spec, SPEC_ANNOTATION_RDT_CLASS, ret_rdt_class, e);
        if (r != 0)
                return r;
        r = task_resolve_runtime(t->container, request, &launch.runtime, e);
        if (r == 0)
                r = fill_rootfs(t, &launch, &spec, e);
        if (r != 0)
                return r;
        launch.namespace = strdup(t->process.object.namespace);
        launch.id = strdup(t->process.object.name);
        launch.unit = strdup(t->unit);
        launch.log_identifier = strdup(t->process.object.name);
        launch.runtime_name = strdup(request->runtime ?: t->container->runtime);
        launch.terminal = t->process.terminal;
        launch.stop_signal = t->container->stop_signal;
        launch.stop_timeout = t->container->stop_timeout;
        if (!launch.namespace || !launch.id || !launch.unit || !launch.log_identifier ||
            !launch.runtime_name || free_and_strdup(&t->runtime, launch.runtime_name) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < 3; i++) {
                launch.stdio[i] = request->streams.kind[i];
                if (free_and_strdup(&launch.stdio_path[i], request->streams.path[i]) < 0)
                        return -ENOMEM;
        }
        if (free_and_strdup(&launch.checkpoint, request->checkpoint_path) < 0 ||
            free_and_strdup(&launch.checkpoint_name, request->checkpoint) < 0 ||
            free_and_strdup(&t->checkpoint, request->checkpoint) < 0)
                return -ENOMEM;
        r = task_launch_to_json(&launch, &j);
        if (r < 0)
                return r;
        r = resolver_write_files(spec, t->dir_fd, e);
        if (r == 0)
                r = container_secrets_write(t->container, spec, t->dir_fd, e);
        if (r != 0)
                return r;
        r = file_write_atomic_at(t->dir_fd, TASK_FILE_CONFIG, spec, strlen(spec), 0600, 0);
        if (r >= 0)
                r = write_json(t->dir_fd, TASK_FILE_LAUNCH, j);
        if (r < 0)
                return error_setf(e, r, "Failed to write the documents of task %s: %m",
                                  t->process.object.name);
        process_stamp_document(&t->process);
        return 0;
}

void launch_write_log_fields(Task *t) {
        _cleanup_free_ char *namespace = NULL, *id = NULL, *image = NULL;
        int r;

        if (asprintf(&namespace, "CTR_NAMESPACE=%s", t->process.object.namespace) < 0 ||
            asprintf(&id, "CTR_CONTAINER=%s", t->process.object.name) < 0 ||
            asprintf(&image, "CTR_IMAGE=%s", t->container->image) < 0)
                return;
        r = log_fields_write(t->unit, (const char *const[]){namespace, id, image, NULL});
        if (r < 0)
                log_debug_errno(r, "The log lines of %s will have no container fields: %m",
                                t->unit);
}
