/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the new volumes of a container begin with: one worker copies all of it out of the image. */

#include <inttypes.h>

#include "basic/strv.h"
#include "manager/container-mounts.h"
#include "manager/db.h"
#include "manager/job.h"
#include "manager/manager.h"
#include "snapshot/overlayfs.h"

static const JobType copy_up_type = {.name = "copy-up", .action = "container-create"};

typedef struct CopyUp {
        MountPlan *plan;
        Callback callback;
        void *userdata;
} CopyUp;

/* The names of the trees, one for each path. */
static int take_trees(MountPlan *p, json_t *result, Error *e) {
        json_t *directories = json_object_get(result, "directories");
        size_t k = 0;

        for (size_t i = 0; i < p->n; i++) {
                const char *tree;

                if (!p->items[i].copy_up)
                        continue;
                tree = json_string_value(json_array_get(directories, k++));
                if (!tree || !startswith(tree, OVERLAYFS_PUBLISHED_PREFIX) || strchr(tree, '/'))
                        return error_setf(e, -EBADMSG,
                                          "The worker does not tell what it has copied");
                p->items[i].tree = strdup(tree);
                if (!p->items[i].tree)
                        return -ENOMEM;
        }
        return 0;
}

static void on_copied_up(Object *job, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ CopyUp *c = userdata;

        if (r == 0) {
                r = take_trees(c->plan, JOB(job)->result, &local);
                e = &local;
        }
        c->callback(NULL, r, e, c->userdata);
}

/* --layers=N,... PATH... */
static int copy_up_arguments(MountPlan *p, Image *image, char ***ret, Error *e) {
        _cleanup_free_ char *layers = NULL;
        _cleanup_strv_free_ char **l = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        size_t n = 0;
        int r;

        assert(image->snapshot > 0);

        r = db_snapshot_chain(p->manager->db, image->snapshot, &chain, &n, e);
        for (size_t i = 0; r == 0 && i < n; i++) {
                _cleanup_free_ char *before = TAKE_PTR(layers);

                if (asprintf(&layers, "%s%s%" PRIi64, strempty(before),
                             before ? "," : "--layers=", chain[i]) < 0)
                        return -ENOMEM;
        }
        if (r == 0)
                r = strv_extend(&l, layers);
        if (r == 0)
                r = strv_extend(&l, "--");
        for (size_t i = 0; r == 0 && i < p->n; i++)
                if (p->items[i].copy_up)
                        r = strv_extend(&l, p->items[i].mount->destination);
        if (r == 0)
                *ret = TAKE_PTR(l);
        return r;
}

int mount_plan_copy_up(MountPlan *p, const ContainerRequest *request, Image *image,
                       Callback callback, void *userdata, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        _cleanup_free_ CopyUp *c = NULL;
        Job *job;
        int r;

        r = copy_up_arguments(p, image, &arguments, e);
        if (r != 0)
                return r;
        c = malloc(sizeof(CopyUp));
        if (!c)
                return -ENOMEM;
        *c = (CopyUp){.plan = p, .callback = callback, .userdata = userdata};
        r = job_start(p->manager,
                      &(JobRequest){
                                      .type = &copy_up_type,
                                      .namespace = request->namespace,
                                      .description = request->id,
                                      .arguments = arguments,
                      },
                      &job, e);
        if (r == 0) {
                r = job_wait(job, on_copied_up, c, e);
                if (r != 0)
                        (void) job_cancel(job, NULL);
        }
        if (r == 0)
                TAKE_PTR(c);
        return r;
}
