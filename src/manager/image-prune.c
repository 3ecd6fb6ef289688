/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which images are in use, how much they take, and the removal of those that nothing was made
 * from. */

#include "manager/container.h"
#include "manager/db.h"
#include "manager/image.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

typedef struct Count {
        const Image *image;
        uint64_t n;
} Count;

static int count_container(Object *o, void *userdata) {
        Count *count = userdata;

        count->n += streq(CONTAINER(o)->image, count->image->object.name);
        return 0;
}

int image_usage(Image *i, ImageUsage *ret, Error *e) {
        Count count = {.image = i};
        ImageUsage usage;
        int r;

        r = db_image_usage(i->object.manager->db, i, &usage, e);
        if (r != 0)
                return r;
        (void) object_foreach(i->object.manager, OBJECT_CONTAINER, i->object.namespace,
                              count_container, &count);
        usage.containers = count.n;
        *ret = usage;
        return 0;
}

/* What images_prune() goes through: first the names that are used, then the images. */
typedef struct Prune {
        const PruneRequest *request;
        json_t *used;  /* {name: true} */
        json_t *names; /* of what is to be removed */
} Prune;

static int note_used(Object *o, void *userdata) {
        Prune *p = userdata;

        return json_object_set_new(p->used, CONTAINER(o)->image, json_true());
}

static int choose(Object *o, void *userdata) {
        Prune *p = userdata;
        const PruneRequest *q = p->request;
        const Image *i = IMAGE(o);

        if (json_object_get(p->used, o->name) || (q->before > 0 && i->created_at >= q->before) ||
            (q->matches && !q->matches(i, q->userdata)))
                return 0;
        return json_array_append_new(p->names, json_string(o->name));
}

static int delete_rows(Manager *m, const char *namespace, json_t *names, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        json_t *name;
        size_t i;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        json_array_foreach(names, i, name) {
                r = db_image_delete(m->db, namespace, json_string_value(name), e);
                if (r != 0)
                        return r;
        }
        r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

int images_prune(Manager *m, const PruneRequest *request, Callback callback, void *userdata,
                 json_t **ret, Error *e) {
        Prune p = {.request = request, .used = json_object(), .names = json_array()};
        json_t *name;
        size_t i;
        int r = -ENOMEM;

        if (p.used && p.names &&
            object_foreach(m, OBJECT_CONTAINER, request->namespace, note_used, &p) == 0 &&
            object_foreach(m, OBJECT_IMAGE, request->namespace, choose, &p) == 0)
                r = delete_rows(m, request->namespace, p.names, e);
        if (r == 0) {
                json_array_foreach(p.names, i, name)
                        image_free(IMAGE(object_find(m, OBJECT_IMAGE, request->namespace,
                                                     json_string_value(name))));
                r = sweeper_collect(m->sweeper, callback, userdata, e);
        }
        if (r == 0)
                *ret = json_incref(p.names);
        json_decref(p.used);
        json_decref(p.names);
        return r;
}
