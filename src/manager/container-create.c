/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The birth of a container: everything is checked, then its record and its root's snapshot are made
 * in one transaction. What is copied for it before that is in container-create-copy.c.
 */

#include "manager/container-create.h"

#include "basic/clock.h"
#include "basic/identifier.h"
#include "manager/container-secrets.h"
#include "manager/db.h"
#include "manager/image.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/rdt.h"
#include "manager/restart.h"
#include "manager/runtime-name.h"
#include "manager/spec.h"
#include "manager/sweeper.h"
#include "unit/properties.h"

#define STOP_TIMEOUT_USEC (10 * USEC_PER_SEC)

void creation_clear(Creation *c) {
        user_namespace_clear(&c->user_namespace);
}

static int check_image(Manager *m, Creation *c, Error *e) {
        const ContainerRequest *request = c->request;
        int r;

        r = image_find(m, request->namespace, request->image, &c->image, e);
        if (r != 0)
                return r;
        if (request->existing_snapshot)
                return 0;
        if (!c->image->unpacked)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The image \"%s\" is not unpacked: pull it again",
                                  c->image->object.name);
        if (c->image->snapshot == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The image \"%s\" has no layers",
                                  c->image->object.name);
        if (c->parent > 0 && c->parent != c->image->snapshot)
                return error_setf(e, CTR_CONFLICT, "The image \"%s\" was changed meanwhile",
                                  c->image->object.name);
        return snapshot_check_parent(m, c->snapshotter, c->image->snapshot, e);
}

int creation_check(Manager *m, Creation *c, Error *e) {
        const ContainerRequest *request = c->request;
        _cleanup_free_ char *program = NULL;
        int r;

        r = namespace_validate(request->namespace, e);
        if (r == 0)
                r = identifier_validate(request->id, "container id", e);
        if (r == 0 && request->snapshot_id)
                r = snapshot_key_validate(request->snapshot_id, "snapshot id", e);
        if (r == 0 && request->runtime)
                r = runtime_resolve(m, request->runtime, &program, e);
        if (r == 0 && !isempty(request->rdt_class))
                r = rdt_check(m->rdt, request->rdt_class, e);
        if (r == 0)
                r = unit_properties_check(request->resources, e);
        if (r == 0)
                r = restart_request_check(request, e);
        if (r == 0)
                r = runtime_check_user_namespace(request->runtime, program,
                                                 request->user_namespace.mode, e);
        if (r != 0)
                return r;
        /* before the snapshot is looked at: it may be a living container's root (A1.18) */
        if (object_find(m, OBJECT_CONTAINER, request->namespace, request->id))
                return error_setf(e, CTR_ALREADY_EXISTS, "The container \"%s\" exists already",
                                  request->id);
        r = snapshotter_choose(m, request->namespace, request->snapshotter, &c->snapshotter, e);
        return r != 0 ? r : check_image(m, c, e);
}

static int container_fill(Container *c, Creation *creation) {
        const ContainerRequest *request = creation->request;
        int r;

        r = object_init(&c->object, creation->image->object.manager, OBJECT_CONTAINER,
                        request->namespace, request->id);
        if (r < 0)
                return r;
        c->image = strdup(creation->image->object.name);
        c->runtime = strdup(request->runtime ?: RUNTIME_DEFAULT);
        c->snapshotter = strdup(creation->snapshotter);
        c->snapshot_key = strdup(request->snapshot_id ?: request->id);
        c->labels = request->labels ? json_copy(request->labels) : json_object();
        c->stop_timeout = request->stop_timeout ?: STOP_TIMEOUT_USEC;
        c->user_namespace = creation->user_namespace;
        creation->user_namespace = (UserNamespace){};
        c->terminal = request->terminal;
        c->auto_remove = request->auto_remove;
        c->volatile_root = request->volatile_root;
        c->created_at = c->updated_at = now_realtime();
        if (c->labels && request->restart_policy &&
            restart_labels_set_policy(c->labels, request->restart_policy) < 0)
                return -ENOMEM;
        r = restart_load(c, NULL);
        if (r < 0)
                return r;
        return c->image && c->runtime && c->snapshotter && c->snapshot_key && c->labels ? 0
                                                                                        : -ENOMEM;
}

/* A snapshot of this name, of whatever kind: 1 and it, 0 if there is none. CTR_FAILED_PRECONDITION
 * if it is the root of another container. */
static int find_snapshot(const Container *c, Snapshot **ret, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        Database *db = c->object.manager->db;
        _cleanup_free_ char *user = NULL;
        int r;

        r = db_snapshot_find(db, c->snapshotter, c->object.namespace, c->snapshot_key, &s, e);
        if (r != 1)
                return r;
        r = snapshot_check_mounts(c->object.manager, s, e);
        if (r != 0)
                return r;
        r = db_snapshot_user(db, s->id, &user, e);
        if (r == 1)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is the root of the container \"%s\"", s->key,
                                  user);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(s);
        return 1;
}

/* A1.35 */
static int take_snapshot(Container *c, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = find_snapshot(c, &s, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "There is no snapshot \"%s\" of %s",
                                  c->snapshot_key, c->snapshotter);
        if (r != 1)
                return r;
        if (s->kind != SNAPSHOT_ACTIVE)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is not active: it is %s", s->key,
                                  snapshot_kind_to_string(s->kind));
        c->snapshot = s->id;
        return snapshot_directory_check(c->object.manager, c->snapshotter, s->id, e);
}

/* A1.32: with an explicit snapshotter one that was left is replaced. */
static int make_room(Container *c, Creation *creation, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        if (!creation->request->snapshotter)
                return 0;
        r = find_snapshot(c, &s, e);
        if (r != 1)
                return r;
        if (s->kind == SNAPSHOT_COMMITTED)
                return error_setf(e, CTR_ALREADY_EXISTS,
                                  "The snapshot \"%s\" exists already, and is committed", s->key);
        r = db_snapshot_delete(c->object.manager->db, s->id, e);
        if (r == 0)
                creation->replaced = s->id;
        return r;
}

static int insert_snapshot(Container *c, Creation *creation, Error *e) {
        Manager *m = c->object.manager;
        int64_t parent = creation->image->snapshot;
        int r;

        r = make_room(c, creation, e);
        if (r == 0)
                r = db_snapshot_insert(m->db,
                                       &(Snapshot){
                                                       .kind = SNAPSHOT_ACTIVE,
                                                       .snapshotter = c->snapshotter,
                                                       .namespace = c->object.namespace,
                                                       .key = c->snapshot_key,
                                                       .parent_id = parent,
                                       },
                                       &c->snapshot, e);
        return r;
}

/* What it mounts, then its document, which names that, then its row. */
static int insert_container(Container *c, Creation *creation, Error *e) {
        _cleanup_(spec_result_clear) SpecResult spec = {};
        ContainerRequest request = *creation->request;
        Manager *m = c->object.manager;
        int r;

        r = container_secrets_check(c, &request, e);
        if (r == 0)
                r = mount_plan_take(creation->mounts, c, e);
        if (r != 0)
                return r;
        request.mounts = creation->mounts->mounts;
        request.n_mounts = creation->mounts->n;
        r = spec_generate(m, &request, &c->user_namespace, creation->image, &spec, e);
        if (r != 0)
                return r;
        c->resources = json_incref(spec.resources);
        c->stop_signal = spec.stop_signal;
        r = db_container_insert(m->db, c, spec.document, e);
        if (r == 0)
                r = mount_plan_hold(creation->mounts, c, e);
        return r != 0 ? r : container_secrets_hold(c, &request, e);
}

/* Rows and directory in one transaction: the commit is the point where the container exists. */
static int container_commit(Container *c, Creation *creation, Error *e) {
        bool existing = creation->request->existing_snapshot;
        Manager *m = c->object.manager;
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = c->volatile_root && !creation->mounts->durable ? db_begin_unsynced(m->db, e)
                                                           : db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = existing ? take_snapshot(c, e) : insert_snapshot(c, creation, e);
        if (r == 0)
                r = insert_container(c, creation, e);
        if (r == 0 && creation->request->lease)
                r = lease_add_snapshot(m, c->object.namespace, creation->request->lease,
                                       c->snapshotter, c->snapshot_key, e);
        if (r == 0 && !existing)
                r = snapshot_directory_make(m, c->snapshotter, c->snapshot,
                                            creation->image->snapshot, creation->tree, e);
        if (r != 0)
                return r;
        r = db_commit(m->db, e);
        if (r != 0) {
                if (!existing)
                        (void) sweeper_doom(m->sweeper, c->snapshot, NULL);
                return r;
        }
        transaction = NULL;
        mount_plan_committed(creation->mounts);
        if (creation->replaced > 0)
                (void) sweeper_doom(m->sweeper, creation->replaced, NULL);
        return 0;
}

int creation_run(Manager *m, Creation *creation, Container **ret, Error *e) {
        _cleanup_(mount_plan_freep) MountPlan *mounts = NULL;
        _cleanup_(container_freep) Container *c = NULL;
        int r;

        r = creation_check(m, creation, e);
        if (r == 0 && !creation->mounts) {
                r = mount_plan_new(m, creation->request, creation->image, &mounts, e);
                creation->mounts = mounts;
        }
        if (r == 0)
                r = user_namespace_make(m, &creation->request->user_namespace,
                                        creation->request->namespace, creation->request->id,
                                        &creation->user_namespace, e);
        if (r != 0)
                return r;
        c = calloc(1, sizeof(Container));
        if (!c)
                return -ENOMEM;
        r = container_fill(c, creation);
        if (r < 0)
                return r;
        r = restarts_prepare(m, c->labels, e);
        if (r != 0)
                return r;
        r = container_commit(c, creation, e);
        if (r != 0)
                return r;
        r = object_link(&c->object);
        if (r < 0)
                return r;
        restart_labels_changed(c, NULL);
        *ret = TAKE_PTR(c);
        return 0;
}

int container_create(Manager *m, const ContainerRequest *request, Container **ret, Error *e) {
        _cleanup_(creation_clear) Creation creation = {.request = request};

        assert(m && request && ret);

        return creation_run(m, &creation, ret, e);
}
