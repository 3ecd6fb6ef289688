/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/commit.h"

#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/copy.h"
#include "manager/db.h"
#include "manager/image-commit.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/pull.h"
#include "manager/snapshot.h"
#include "manager/task-internal.h"
#include "snapshot/snapshotter.h"

#define CREATED_BY_MAX 4096U
#define READING        "diff" /* the phase in which the worker looks at the container's files */

typedef struct Commit {
        Manager *manager;
        char *namespace, *id, *reference, *lease;
        char **arguments;
        int request_fd;
        bool unpack;
        bool paused; /* it was by us, and has to go on */
        Callback callback;
        void *userdata;
} Commit;

static void commit_free(Commit *x) {
        free(x->namespace);
        free(x->id);
        free(x->reference);
        free(x->lease);
        strv_free(x->arguments);
        fd_close(x->request_fd);
        free(x);
}
DEFINE_CLEANUP(Commit *, commit_free);

static void set_committing(Task *t, bool committing) {
        int r;

        t->committing = committing;
        r = process_save(&t->process);
        if (r < 0)
                log_warning_errno(r, "Failed to save the state of task %s: %m",
                                  t->process.object.name);
}

static void on_resumed(Object *o, int r, const Error *e, void *userdata) {
        if (r == -ESHUTDOWN)
                return; /* the next manager does it */
        if (r != 0 && process_status(PROCESS(o)) != TASK_STOPPED)
                log_warning("The task %s is still paused: %s", o->name, error_text_of(r, e));
        /* in any case nothing relies on it any more, and Resume may be tried again */
        set_committing(TASK(o), false);
}

static void resume_task(Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (process_status(&t->process) == TASK_STOPPED || !t->committing)
                return;
        r = task_thaw(t, on_resumed, NULL, &e);
        if (r != 0)
                on_resumed(&t->process.object, r, &e, NULL);
}

void commit_recovered(Task *t) {
        if (t->committing)
                log_info("The container %s was being committed when the manager ended",
                         t->process.object.name);
        resume_task(t);
}

static void resume(Commit *x) {
        Object *o;

        if (!x->paused)
                return;
        x->paused = false;
        o = object_find(x->manager, OBJECT_TASK, x->namespace, x->id);
        if (o)
                resume_task(TASK(o));
}

static void on_phase(Job *j) {
        if (!streq(j->phase, READING) && !streq(j->phase, "wait"))
                resume(j->userdata);
}

static void on_done(Job *j) {
        resume(j->userdata);
}

static int record(Job *j, json_t *result, Error *e) {
        const Commit *x = j->userdata;
        int r;

        r = images_commit(j->object.manager, j->namespace,
                          &(ImageResult){.name = x->reference,
                                         .result = result,
                                         .lease = x->lease,
                                         .unpacked = x->unpack},
                          1, e);
        if (r == 0)
                r = job_set_outcome(j, "Image", json_string(x->reference));
        if (r == 0)
                r = job_set_outcome(j, "Digest", json_incref(json_object_get(result, "digest")));
        return r;
}

static void destroy(void *userdata) {
        commit_free(userdata);
}

static int plan(Job *j, json_t *packet, json_t **ret, Error *e) {
        return layers_answer_plan(j, packet, false, ret, e);
}

static const JobType job_commit_type = {
                .name = "commit",
                .action = "image-import",
                .first_phase = READING,
                .brings_blobs = true,
                .plan = plan,
                .phase = on_phase,
                .commit = record,
                .done = on_done,
                .destroy = destroy,
};

static void start_job(Commit *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        Callback callback = x->callback;
        void *userdata = x->userdata;
        Job *job = NULL;
        int r;

        r = job_start(x->manager,
                      &(JobRequest){
                                      .type = &job_commit_type,
                                      .namespace = x->namespace,
                                      .description = x->reference,
                                      .arguments = x->arguments,
                                      .files = {{.option = "--request-fd", .fd = x->request_fd}},
                                      .userdata = x,
                      },
                      &job, &e);
        if (r != 0) {
                resume(x);
                commit_free(x);
        }
        callback(job ? &job->object : NULL, r, &e, userdata);
}

static void on_paused(Object *o, int r, const Error *e, void *userdata) {
        Commit *x = userdata;
        Task *t = TASK(o);

        if (r == -ESHUTDOWN) {
                x->callback(NULL, r, e, x->userdata);
                commit_free(x);
                return;
        }
        x->paused = r == 0;
        /* one that has ended changes its files no more */
        if (r != 0 && t && process_status(&t->process) != TASK_STOPPED) {
                resume_task(t);
                x->callback(NULL, r, e, x->userdata);
                commit_free(x);
                return;
        }
        start_job(x);
}

/* The image that the container's layers end in: its own, or where that name means something else by
 * now, another one of the same layers. */
typedef struct Base {
        const int64_t *chain;
        size_t n; /* of them, the own ones: below is the image */
        const char *name;
        const Image *image;
} Base;

static int find_base(Object *o, void *userdata) {
        const Image *i = IMAGE(o);
        Base *b = userdata;

        for (size_t k = 1; i->unpacked && i->snapshot > 0 && k <= b->n; k++)
                if (b->chain[k] == i->snapshot &&
                    (k < b->n || !b->image || streq(o->name, b->name))) {
                        b->n = k;
                        b->image = i;
                }
        return 0;
}

static int set_arguments(Commit *x, Container *c, const CommitRequest *request, Error *e) {
        _cleanup_free_ int64_t *chain = NULL;
        _cleanup_free_ char *layers = NULL, *lower = NULL;
        Base base = {.name = c->image};
        size_t n = 0;
        int r;

        r = db_snapshot_chain(x->manager->db, c->snapshot, &chain, &n, e);
        if (r != 0)
                return r;
        base.chain = chain;
        base.n = n > 0 ? n - 1 : 0;
        (void) object_foreach(x->manager, OBJECT_IMAGE, x->namespace, find_base, &base);
        if (!base.image)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The image \"%s\" of the container is not there any more",
                                  c->image);
        r = container_layers(c, base.n, &layers, &lower, e);
        if (r != 0)
                return r;
        if (strv_extendf(&x->arguments, "--base=%s", base.image->manifest_digest) < 0 ||
            strv_extendf(&x->arguments, "--layers=%s", layers) < 0 ||
            /* what was changed is found by looking at both */
            (snapshotter_find(c->snapshotter)->copies &&
             strv_extendf(&x->arguments, "--lower=%s", lower) < 0) ||
            (request->compression &&
             strv_extendf(&x->arguments, "--compression=%s", request->compression) < 0) ||
            (request->no_unpack && strv_extend(&x->arguments, "--no-unpack") < 0))
                return -ENOMEM;
        return 0;
}

/* What the container executes, as one line of the image's history. */
static int read_command(Container *c, char ret[static CREATED_BY_MAX], Error *e) {
        _cleanup_strv_free_ char **args = NULL;
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *spec = NULL;
        json_t *process;
        size_t n = 0;
        int r;

        r = container_read_spec(c, &spec, e);
        if (r == 0)
                r = json_parse(spec, strlen(spec), "config.json", &j, e);
        if (r != 0)
                return r;
        r = json_get_object(j, "", "process", &process, e);
        if (r > 0)
                r = json_get_strv(process, "process", "args", SIZE_MAX, &args, e);
        if (r < 0)
                return r;
        ret[0] = '\0';
        STRV_FOREACH(a, args)
                if (strlen(*a) + 2 < CREATED_BY_MAX - n)
                        n += (size_t) sprintf(ret + n, "%s%s", n > 0 ? " " : "", *a);
        return 0;
}

static int write_request(Commit *x, Container *c, const CommitRequest *request, Error *e) {
        char created_by[CREATED_BY_MAX];
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = read_command(c, created_by, e);
        if (r != 0)
                return r;
        j = json_pack("{ss* ss* ss so}", "author", request->author, "comment", request->comment,
                      "created_by", created_by, "changes", json_from_strv(request->changes));
        return j ? job_write_request(j, &x->request_fd, e) : -ENOMEM;
}

static int commit_new(Container *c, const CommitRequest *request, Commit **ret, Error *e) {
        _cleanup_(commit_freep) Commit *x = calloc(1, sizeof(Commit));
        int r;

        if (!x)
                return -ENOMEM;
        x->request_fd = -1;
        x->manager = c->object.manager;
        x->unpack = !request->no_unpack;
        if (free_and_strdup(&x->namespace, c->object.namespace) < 0 ||
            free_and_strdup(&x->id, c->object.name) < 0 ||
            free_and_strdup(&x->lease, request->lease) < 0)
                return -ENOMEM;
        r = x->lease ? lease_check(x->manager, x->namespace, x->lease, e) : 0;
        if (r == 0)
                r = reference_normalize(request->reference, &x->reference, e);
        if (r == 0)
                r = set_arguments(x, c, request, e);
        if (r == 0)
                r = write_request(x, c, request, e);
        if (r == 0)
                *ret = TAKE_PTR(x);
        return r;
}

static int check_task(const Task *t, Error *e) {
        TaskStatus s = t ? process_status(&t->process) : TASK_STOPPED;

        if (s == TASK_UNKNOWN || s == TASK_PAUSING || (t && t->committing))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  t->committing ? "The container \"%s\" is being committed already"
                                                : "The task \"%s\" is between two states",
                                  t->process.object.name);
        return 0;
}

/* From the event loop: nobody is called back before container_commit() has returned. */
static int on_start(sd_event_source *source, void *userdata) {
        sd_event_source_unref(source);
        start_job(userdata);
        return 0;
}

int container_commit(Container *c, const CommitRequest *request, Callback callback, void *userdata,
                     Error *e) {
        _cleanup_(commit_freep) Commit *x = NULL;
        Task *t = c->task;
        int r;

        r = check_task(t, e);
        if (r == 0 && (!t || t->process.status == TASK_STOPPED))
                r = container_check_writers(c, e);
        if (r == 0)
                r = commit_new(c, request, &x, e);
        if (r != 0)
                return r;
        x->callback = callback;
        x->userdata = userdata;
        if (!request->no_pause && t && process_status(&t->process) == TASK_RUNNING) {
                set_committing(t, true);
                r = task_pause(t, on_paused, x, e);
                if (r != 0)
                        set_committing(t, false);
        } else {
                sd_event_source *source = NULL;

                r = sd_event_add_defer(x->manager->event, &source, on_start, x);
        }
        if (r == 0)
                TAKE_PTR(x);
        return r;
}
