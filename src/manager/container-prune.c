/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container-prune.h"

#include "manager/manager.h"
#include "manager/restart.h"
#include "manager/task.h"

typedef struct Choice {
        const ContainerPrune *request;
        Container **list;
        size_t n, max;
} Choice;

static bool is_at_rest(const Container *c) {
        return (!c->task || c->task->process.status == TASK_STOPPED) && !c->version_operation &&
               !restart_is_due(c);
}

static int choose(Object *o, void *userdata) {
        Choice *choice = userdata;
        const ContainerPrune *q = choice->request;
        Container *c = CONTAINER(o);

        if (choice->n < choice->max && is_at_rest(c) &&
            (q->before == 0 || c->created_at < q->before) &&
            (!q->matches || q->matches(c, q->userdata)))
                choice->list[choice->n++] = c;
        return 0;
}

size_t containers_choose(Manager *m, const ContainerPrune *request, Container **list, size_t max) {
        Choice choice = {.request = request, .list = list, .max = max};

        (void) object_foreach(m, OBJECT_CONTAINER, request->namespace, choose, &choice);
        return choice.n;
}

typedef struct Deletion Deletion;

typedef struct Deleted {
        Deletion *deletion;
        char *id;
} Deleted;

/* Ends with the last of them. */
struct Deletion {
        json_t *ids;
        Callback callback;
        void *userdata;
        int r;
        Error error;
        size_t n, n_pending;
        Deleted containers[];
};

static Deletion *deletion_free(Deletion *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++)
                free(d->containers[i].id);
        json_decref(d->ids);
        error_clear(&d->error);
        free(d);
        return NULL;
}
DEFINE_CLEANUP(Deletion *, deletion_free);

/* The first failure is the one that is told. */
static void note(Deleted *c, int r, const Error *e) {
        Deletion *d = c->deletion;

        d->n_pending--;
        if (r == 0 && json_array_append_new(d->ids, json_string(c->id)) < 0)
                r = -ENOMEM;
        if (r < 0 && d->r == 0)
                d->r = error_setf(&d->error, r, "%s", error_text_of(r, e));
}

static void on_deleted(Object *o, int r, const Error *e, void *userdata) {
        Deleted *c = userdata;
        Deletion *d = c->deletion;

        note(c, r, e);
        if (d->n_pending > 0)
                return;
        d->callback(NULL, d->r, &d->error, d->userdata);
        deletion_free(d);
}

static int deletion_new(Container *const *list, size_t n, Deletion **ret) {
        _cleanup_(deletion_freep) Deletion *d = NULL;

        d = calloc(1, sizeof(Deletion) + n * sizeof(Deleted));
        if (!d)
                return -ENOMEM;
        d->ids = json_array();
        if (!d->ids)
                return -ENOMEM;
        for (; d->n < n; d->n++) {
                d->containers[d->n] = (Deleted){d, strdup(list[d->n]->object.name)};
                if (!d->containers[d->n].id)
                        return -ENOMEM;
        }
        d->n_pending = n;
        *ret = TAKE_PTR(d);
        return 0;
}

int containers_delete(Container *const *list, size_t n, Callback callback, void *userdata,
                      json_t **ret, Error *e) {
        _cleanup_(deletion_freep) Deletion *d = NULL;
        int r, failed = 0;

        assert(n > 0);

        r = deletion_new(list, n, &d);
        if (r < 0)
                return r;
        d->callback = callback;
        d->userdata = userdata;
        for (size_t i = 0; i < n; i++) {
                _cleanup_error_ Error local = ERROR_NULL;

                r = container_delete(list[i], list[i]->task ? CONTAINER_DELETE_FORCE : 0,
                                     on_deleted, &d->containers[i], &local);
                if (r == 0)
                        continue;
                note(&d->containers[i], r, &local);
                if (failed == 0) {
                        failed = r;
                        (void) error_move(e, &local);
                }
        }
        if (d->n_pending == 0)
                return failed;
        error_clear(e);
        *ret = json_incref(d->ids);
        TAKE_PTR(d);
        return 0;
}
