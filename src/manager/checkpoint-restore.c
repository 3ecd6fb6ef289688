/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/checkpoint-restore.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "manager/checkpoint-image.h"
#include "manager/checkpoint.h"
#include "manager/db.h"
#include "manager/image.h"
#include "manager/manager.h"
#include "manager/version.h"
#include "snapshot/overlayfs.h"

/* A task that waits for its checkpoint to be extracted, and is made then. */
typedef struct Unpack {
        Manager *manager;
        char *namespace, *id, *reference; /* the container may be gone by then */
        int64_t snapshot;                 /* which tell it from a later one of that name */
        uint64_t created_at;
        char *name, *path;   /* of the directory; name NULL: it is the task's now */
        uint64_t exchanged;  /* the snapshot whose tree is in the directory; 0: none */
        TaskRequest request; /* with copies */
        char *stdio_path[3], *runtime;
        Callback callback;
        void *userdata;
} Unpack;

static void unpack_free(Unpack *u) {
        if (!u)
                return;
        for (size_t i = 0; i < 3; i++) {
                free(u->stdio_path[i]);
                fd_close(u->request.streams.fd[i]);
        }
        checkpoint_directory_discard(u->manager, u->name);
        free(u->namespace);
        free(u->id);
        free(u->reference);
        free(u->runtime);
        free(u->name);
        free(u->path);
        free(u);
}
DEFINE_CLEANUP(Unpack *, unpack_free);

static int unpack_new(Container *c, const TaskRequest *request, const char *reference,
                      Unpack **ret) {
        _cleanup_(unpack_freep) Unpack *u = calloc(1, sizeof(Unpack));

        if (!u)
                return -ENOMEM;
        u->manager = c->object.manager;
        u->snapshot = c->snapshot;
        u->created_at = c->created_at;
        u->request = *request;
        for (size_t i = 0; i < 3; i++)
                u->request.streams.fd[i] = -1;
        for (size_t i = 0; i < 3; i++) {
                if (free_and_strdup(&u->stdio_path[i], request->streams.path[i]) < 0)
                        return -ENOMEM;
                u->request.streams.path[i] = u->stdio_path[i];
                if (request->streams.kind[i] != STDIO_FD)
                        continue;
                u->request.streams.fd[i] = fcntl(request->streams.fd[i], F_DUPFD_CLOEXEC, 3);
                if (u->request.streams.fd[i] < 0)
                        return -errno;
        }
        if (free_and_strdup(&u->namespace, c->object.namespace) < 0 ||
            free_and_strdup(&u->id, c->object.name) < 0 ||
            free_and_strdup(&u->reference, reference) < 0 ||
            free_and_strdup(&u->runtime, request->runtime) < 0)
                return -ENOMEM;
        u->request.runtime = u->runtime;
        *ret = TAKE_PTR(u);
        return 0;
}

/* The container has no task, so nothing has its root mounted. */
static int unpack_exchange(Unpack *u, const Container *c, json_t *result, Error *e) {
        bool root = false;
        int r;

        r = result ? json_get_bool(result, "result", "root", &root, e) : -EBADMSG;
        if (r < 0)
                return error_setf(e, r, "The worker does not tell what it has extracted");
        if (!root)
                return 0;
        r = overlayfs_exchange(u->manager->snapshots_fd, (uint64_t) c->snapshot, u->name, e);
        if (r == 0)
                u->exchanged = (uint64_t) c->snapshot;
        return r;
}

static void unpack_put_back(Unpack *u) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (u->exchanged == 0)
                return;
        r = overlayfs_exchange(u->manager->snapshots_fd, u->exchanged, u->name, &e);
        /* not if it was the deletion of the container that made it fail */
        if (r != 0 && r != CTR_NOT_FOUND)
                log_warning("%s", error_text(&e));
        u->exchanged = 0;
}

static void on_created(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_(unpack_freep) Unpack *u = userdata;

        if (r == 0)
                TASK(o)->checkpoint_directory = TAKE_PTR(u->name);
        else if (r == -ESHUTDOWN)
                /* it may become a task all the same, which the next manager will find */
                free(TAKE_PTR(u->name));
        else
                unpack_put_back(u);
        u->callback(o, r, e, u->userdata);
}

static int unpack_create(Unpack *u, json_t *result, Error *e) {
        Container *c;
        int r;

        c = CONTAINER(object_find(u->manager, OBJECT_CONTAINER, u->namespace, u->id));
        /* another one of the same name is not what was asked for */
        if (!c || c->snapshot != u->snapshot || c->created_at != u->created_at)
                return error_setf(e, CTR_NOT_FOUND, "The container \"%s\" was deleted", u->id);
        if (c->task)
                return error_setf(e, CTR_ALREADY_EXISTS,
                                  "The container \"%s\" was given another task meanwhile", u->id);
        r = unpack_exchange(u, c, result, e);
        if (r != 0)
                return r;
        u->request.checkpoint = u->reference;
        u->request.checkpoint_path = u->path;
        r = task_create(c, &u->request, on_created, u, e);
        if (r != 0)
                unpack_put_back(u);
        return r;
}

static void on_unpacked(Object *job, int r, const Error *e, void *userdata) {
        _cleanup_(unpack_freep) Unpack *u = userdata;
        _cleanup_error_ Error local = ERROR_NULL;

        if (r == 0) {
                r = unpack_create(u, JOB(job)->result, &local);
                e = &local;
        }
        if (r == 0)
                TAKE_PTR(u);
        else
                u->callback(NULL, r, e, u->userdata);
}

/* DIGEST NAME LAYER...: what the container's root lies upon, nearest first. */
static int unpack_arguments(const Unpack *u, const Container *c, const Image *image, char ***ret,
                            Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        size_t n = 0;
        int r;

        r = db_snapshot_chain(u->manager->db, c->snapshot, &chain, &n, e);
        if (r != 0)
                return r;
        if (strv_extend(&l, image->digest) < 0 || strv_extend(&l, u->name) < 0)
                return -ENOMEM;
        for (size_t i = 1; i < n; i++)
                if (strv_extendf(&l, "%" PRIi64, chain[i]) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

static const JobType restore_type = {.name = "restore", .action = "task-start"};

static int unpack_start(Unpack *u, const Container *c, const Image *image, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        Job *job;
        int r;

        r = checkpoint_directory_new(u->manager, CHECKPOINT_RESTORE_PREFIX, &u->name, &u->path, e);
        if (r == 0)
                r = unpack_arguments(u, c, image, &arguments, e);
        if (r == 0)
                r = job_start(u->manager,
                              &(JobRequest){
                                              .type = &restore_type,
                                              .namespace = u->namespace,
                                              .description = u->reference,
                                              .arguments = arguments,
                              },
                              &job, e);
        if (r != 0)
                return r;
        r = job_wait(job, on_unpacked, u, e);
        if (r != 0)
                (void) job_cancel(job, NULL);
        return r;
}

int task_create_from_image(Container *c, const TaskRequest *request, const char *reference,
                           Callback callback, void *userdata, Error *e) {
        const TaskRequest restored = {.checkpoint = reference, .runtime = request->runtime};
        _cleanup_(unpack_freep) Unpack *u = NULL;
        _cleanup_free_ char *program = NULL;
        Image *image;
        int r;

        if (c->task)
                return error_setf(e, CTR_ALREADY_EXISTS, "The container \"%s\" has a task already",
                                  c->object.name);
        if (!streq(c->snapshotter, SNAPSHOTTER_DEFAULT))
                return error_setf(
                                e, CTR_NOT_IMPLEMENTED,
                                "The root of \"%s\" is a snapshot of %s: a checkpoint of an image "
                                "is restored only into one of " SNAPSHOTTER_DEFAULT,
                                c->object.name, c->snapshotter);
        r = task_resolve_runtime(c, &restored, &program, e);
        if (r == 0)
                r = version_operation_check(c, e);
        if (r != 0)
                return r;
        r = image_find(c->object.manager, c->object.namespace, reference, &image, e);
        if (r != 0)
                return r;
        r = unpack_new(c, request, image->object.name, &u);
        if (r != 0)
                return r;
        u->callback = callback;
        u->userdata = userdata;
        r = unpack_start(u, c, image, e);
        if (r == 0)
                TAKE_PTR(u);
        return r;
}

void checkpoint_restored(Task *t) {
        checkpoint_directory_discard(t->process.object.manager, t->checkpoint_directory);
        free(TAKE_PTR(t->checkpoint_directory));
}

int checkpoint_recover_directory(Task *t, const char *path) {
        _cleanup_free_ char *prefix = NULL;
        const char *name, *end;
        int r;

        if (asprintf(&prefix, "%s/" OVERLAYFS_DIRECTORY "/", t->process.object.manager->state_dir) <
            0)
                return -ENOMEM;
        name = path ? startswith(path, prefix) : NULL;
        end = name && startswith(name, CHECKPOINT_RESTORE_PREFIX) ? strchr(name, '/') : NULL;
        if (!end)
                return 0;
        r = free_and_strdup(&t->checkpoint_directory, name);
        if (r >= 0)
                t->checkpoint_directory[end - name] = '\0';
        return r < 0 ? r : 0;
}

static int has_directory(Object *o, void *userdata) {
        const Task *t = CONTAINER(o)->task;

        return t && streq_ptr(t->checkpoint_directory, userdata);
}

void checkpoint_directories_recovered(Manager *m) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(m->snapshots_fd, ".");
        while (dir && (errno = 0, de = readdir(dir))) {
                if ((!startswith(de->d_name, CHECKPOINT_RESTORE_PREFIX) &&
                     !startswith(de->d_name, CHECKPOINT_DUMP_PREFIX)) ||
                    checkpoint_has_directory(m, de->d_name) ||
                    object_foreach(m, OBJECT_CONTAINER, NULL, has_directory, de->d_name) != 0)
                        continue;
                log_info("Removing the checkpoint in %s, which nobody waits for", de->d_name);
                checkpoint_directory_discard(m, de->d_name);
        }
        if (errno != 0)
                log_warning_errno(errno, "Failed to list the directories of checkpoints: %m");
}
