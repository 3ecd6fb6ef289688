/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/checkpoint.h"

#include <fcntl.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/checkpoint-image.h"
#include "manager/checkpoint-internal.h"
#include "manager/event.h"
#include "manager/manager.h"
#include "manager/task-internal.h"

/* a little more than the supervisor gives CRIU */
#define DUMP_TIMEOUT_USEC (11 * 60 * USEC_PER_SEC)

Dump *dump_free(Dump *d) {
        if (!d)
                return NULL;
        if (d->task)
                d->task->dump = NULL;
        for (Dump **p = &d->manager->dumps; *p; p = &(*p)->next)
                if (*p == d) {
                        *p = d->next;
                        break;
                }
        checkpoint_directory_discard(d->manager, d->name);
        checkpoint_request_clear(&d->request);
        free(d->reference);
        free(d->namespace);
        free(d->base);
        free(d->name);
        error_clear(&d->error);
        free(d);
        return NULL;
}

int dump_attach(Task *t, Dump **ret) {
        Dump *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->manager = t->process.object.manager;
        d->next = d->manager->dumps;
        d->manager->dumps = d;
        d->task = t;
        t->dump = *ret = d;
        return 0;
}

/* The manager ends. What was begun is the next one's: nothing is undone. */
static void dump_abandon(Dump *d) {
        d->callback(NULL, -ESHUTDOWN, NULL, d->userdata);
        free(TAKE_PTR(d->name));
        dump_free(d);
}

void checkpoint_task_gone(Task *t) {
        Dump *d = t->dump;

        if (!d)
                return;
        d->task = NULL;
        if (d->recovered)
                dump_abandon(d);
}

/* Nothing of it is left to be done, by a later manager either. */
static void dump_drop(Dump *d) {
        Task *t = d->task;
        int r;

        dump_free(d);
        r = t ? process_save(&t->process) : 0;
        if (r < 0)
                log_warning_errno(r, "Failed to save that the checkpoint of %s is through: %m",
                                  t->process.object.name);
}

static void dump_complete(Dump *d) {
        Object *o = d->image ? &d->image->object : d->task ? &d->task->process.object : NULL;
        Task *t = d->task;

        if (d->result == 0 && t && !d->told)
                event_checkpointed(t, d->reference ?: d->request.images);
        d->callback(o, d->result, &d->error, d->userdata);
        dump_drop(d);
}

static void dump_fail(Dump *d, int r, const Error *e) {
        d->result = r;
        if (r != 0)
                (void) error_setf(&d->error, r, "%s", error_text_of(r, e));
}

/* A checkpoint that was made is not undone by a task that cannot be resumed, but that must be
 * known. */
void dump_resumed(Object *o, int r, const Error *e, void *userdata) {
        Dump *d = userdata;

        if (r == -ESHUTDOWN) {
                dump_abandon(d);
                return;
        }
        if (r != 0 && d->task && process_status(&d->task->process) != TASK_STOPPED) {
                log_warning("The task %s is still paused: %s", d->task->process.object.name,
                            error_text_of(r, e));
                if (d->result == 0)
                        d->result = error_setf(&d->error, r,
                                               "The checkpoint was written, but the task is still "
                                               "paused: %s",
                                               error_text_of(r, e));
        }
        dump_complete(d);
}

static void dump_finish(Dump *d) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        /* one that ended meanwhile needs no thawing */
        if (!d->resume || !d->task || process_status(&d->task->process) != TASK_PAUSED) {
                dump_complete(d);
                return;
        }
        r = task_thaw(d->task, dump_resumed, d, &e);
        if (r != 0)
                dump_resumed(NULL, r, &e, d);
}

static void on_stored(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        Dump *d = userdata;

        if (r == -ESHUTDOWN) {
                dump_abandon(d);
                return;
        }
        if (r == 0) {
                r = checkpoint_commit(d->manager, d->namespace, d->reference, d->base,
                                      JOB(o)->result, &d->image, &local);
                e = &local;
        }
        dump_fail(d, r, e);
        dump_finish(d);
}

static int dump_store(Dump *d, Error *e) {
        Job *job;
        int r;

        r = checkpoint_store(d->manager, d->namespace, d->reference, d->name, &job, e);
        if (r != 0)
                return r;
        r = job_wait(job, on_stored, d, e);
        if (r != 0)
                (void) job_cancel(job, NULL);
        return r;
}

void dump_written(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        Dump *d = userdata;

        if (r == -ESHUTDOWN) {
                dump_abandon(d);
                return;
        }
        if (r != 0 && d->task)
                d->task->dump_exit = false;
        /* with Exit only the failure leaves somebody to be resumed */
        if (r == 0 && !d->request.leave_running)
                d->resume = false;
        if (r == 0 && d->reference && !d->image) {
                r = dump_store(d, &local);
                if (r == 0)
                        return;
                e = &local;
        }
        dump_fail(d, r, e);
        dump_finish(d);
}

static int dump_request(Dump *d, Task *t, Error *e) {
        SupervisorMessage m = {.type = SUPERVISOR_CHECKPOINT};
        _cleanup_free_ char *text = NULL;
        int r;

        r = checkpoint_request_to_text(&d->request, &text);
        if (r < 0)
                return r;
        if (strlen(text) >= sizeof(m.text))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The path of the checkpoint is too long");
        memcpy(m.text, text, strlen(text) + 1);
        r = process_request(&t->process, &m, NULL, 0, DUMP_TIMEOUT_USEC,
                            &(Operation){.callback = dump_written, .userdata = d}, e);
        if (r == 0)
                t->dump_exit = !d->request.leave_running;
        return r;
}

static void on_paused(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        Dump *d = userdata;

        if (r == -ESHUTDOWN) {
                dump_abandon(d);
                return;
        }
        if (r != 0) {
                dump_fail(d, r, e);
                dump_complete(d);
                return;
        }
        r = dump_request(d, TASK(o), &local);
        if (r != 0)
                dump_written(o, r, &local, d);
}

/* The directory that an image is made from. */
static int dump_prepare_image(Dump *d, Task *t, const char *image, Error *e) {
        int r;

        r = reference_normalize(image, &d->reference, e);
        if (r != 0)
                return r;
        if (object_find(d->manager, OBJECT_IMAGE, t->process.object.namespace, d->reference))
                return error_setf(e, CTR_ALREADY_EXISTS, "There is an image \"%s\" already",
                                  d->reference);
        if (free_and_strdup(&d->namespace, t->process.object.namespace) < 0 ||
            free_and_strdup(&d->base, t->container->image) < 0)
                return -ENOMEM;
        r = checkpoint_directory_new(d->manager, CHECKPOINT_DUMP_PREFIX, &d->name,
                                     &d->request.images, e);
        return r != 0 ? r : checkpoint_describe(t, d->name, e);
}

static int dump_new(Task *t, const CheckpointOptions *o, Dump **ret, Error *e) {
        _cleanup_(dump_freep) Dump *d = NULL;
        CheckpointRequest *q;

        int r;

        r = dump_attach(t, &d);
        if (r < 0)
                return r;
        d->started_at = now_realtime();
        d->resume = process_status(&t->process) == TASK_RUNNING;
        q = &d->request;
        q->leave_running = !o->exit;
        q->allow_tcp = o->allow_tcp;
        q->allow_unix_sockets = o->allow_unix_sockets;
        q->allow_terminal = o->allow_terminal;
        q->file_locks = o->file_locks;
        if (free_and_strdup(&q->images, o->path) < 0 || free_and_strdup(&q->parent, o->parent) < 0)
                return -ENOMEM;
        STRV_FOREACH(s, o->empty_namespaces)
                if (strv_extend(&q->empty_namespaces, *s) < 0)
                        return -ENOMEM;
        if (o->image) {
                r = dump_prepare_image(d, t, o->image, e);
                if (r != 0)
                        return r;
        }
        /* who lives to see the end of it has to know what is to come after */
        r = process_save(&t->process);
        if (r < 0)
                return error_setf(e, r, "Failed to write down that a checkpoint is made: %m");
        *ret = TAKE_PTR(d);
        return 0;
}

static int dump_check(const Task *t, Error *e) {
        _cleanup_free_ char *criu = NULL;
        TaskStatus status = process_status(&t->process);
        int r;

        if (status != TASK_RUNNING && status != TASK_PAUSED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Cannot make a checkpoint of the task \"%s\": it is %s",
                                  t->process.object.name, task_status_to_string(status));
        if (t->dump)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "A checkpoint of the task \"%s\" is being made already",
                                  t->process.object.name);
        r = checkpoint_check_container(t->container, e);
        if (r != 0)
                return r;
        /* the supervisor looks for it in the same $PATH; here nothing was changed yet */
        r = process_find_program("criu", &criu);
        if (r == -ENOENT)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "CRIU is not installed: there is no program \"criu\" in $PATH");
        return r;
}

int task_checkpoint(Task *t, const CheckpointOptions *options, Callback callback, void *userdata,
                    Error *e) {
        _cleanup_(dump_freep) Dump *d = NULL;
        int r;

        r = dump_check(t, e);
        if (r != 0)
                return r;
        r = dump_new(t, options, &d, e);
        if (r != 0)
                return r;
        d->callback = callback;
        d->userdata = userdata;
        r = d->resume ? task_pause(t, on_paused, d, e) : dump_request(d, t, e);
        if (r == 0)
                TAKE_PTR(d);
        else
                dump_drop(TAKE_PTR(d));
        return r;
}

/* The runtime would say so as well, when the task has been paused, or at Start. */
int checkpoint_check_container(const Container *c, Error *e) {
        if (c->user_namespace.mode == USER_NAMESPACE_HOST)
                return 0;
        return error_setf(e, CTR_NOT_IMPLEMENTED,
                          "The container \"%s\" has a user namespace, which CRIU cannot save and "
                          "restore",
                          c->object.name);
}

int checkpoint_check(const char *path, Error *e) {
        _cleanup_close_ int fd = -1;

        if (path[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The directory of a checkpoint must be absolute: \"%.200s\"",
                                  path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open the checkpoint %s: %m", path);
        if (faccessat(fd, CHECKPOINT_INVENTORY, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There is no checkpoint in %s", path);
        return 0;
}
