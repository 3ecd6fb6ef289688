/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A new snapshot, to be written or viewed. With a snapshotter that copies, a worker copies the
 * parent first.
 *
 * Invariant: row, lease and directory come in one transaction, and with them the root of a
 * container that waits for a snapshot of this key.
 */

#include "basic/clock.h"
#include "manager/container.h"
#include "manager/db.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/snapshot.h"
#include "manager/sweeper.h"

/* A container whose root was committed, and that waits for another one of this key (A1.30). */
static int find_rootless(Object *o, void *userdata) {
        const Snapshot **s = userdata;
        const Container *c = CONTAINER(o);

        return c->snapshot == 0 && streq(c->snapshotter, (*s)->snapshotter) &&
                                               streq(c->snapshot_key, (*s)->key)
                               ? (*(const void **) userdata = o, 1)
                               : 0;
}

/* Rows and directory in one transaction. */
static int prepare_now(Manager *m, const Snapshot *s, const char *lease, const char *tree,
                       Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        Container *c = NULL;
        const void *found = s;
        int64_t id;
        int r;

        if (s->kind == SNAPSHOT_ACTIVE &&
            object_foreach(m, OBJECT_CONTAINER, s->namespace, find_rootless, &found) == 1)
                c = (Container *) found;
        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_snapshot_insert(m->db, s, &id, e);
        if (r == 0 && c)
                r = db_container_set_snapshot(m->db, c, id, c->snapshot_key, now_realtime(), e);
        if (r == 0 && lease)
                r = lease_add_snapshot(m, s->namespace, lease, s->snapshotter, s->key, e);
        if (r == 0)
                r = snapshot_directory_make(m, s->snapshotter, id, s->parent_id, tree, e);
        if (r != 0)
                return r;
        r = db_commit(m->db, e);
        if (r != 0) {
                (void) sweeper_doom(m->sweeper, id, NULL);
                return r;
        }
        transaction = NULL;
        if (c)
                c->snapshot = id;
        return 0;
}

/* One whose tree is being copied. */
typedef struct Preparation {
        Manager *manager;
        Snapshot *snapshot;
        char *lease;
        Callback callback;
        void *userdata;
} Preparation;

static Preparation *preparation_free(Preparation *p) {
        if (!p)
                return NULL;
        snapshot_free(p->snapshot);
        free(p->lease);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(Preparation *, preparation_free);

static void on_prepared(int r, const Error *e, const char *tree, void *userdata) {
        _cleanup_(preparation_freep) Preparation *p = userdata;
        _cleanup_error_ Error local = ERROR_NULL;

        if (r == 0) {
                e = &local;
                r = snapshot_check_parent(p->manager, p->snapshot->snapshotter,
                                          p->snapshot->parent_id, &local);
                if (r == 0)
                        r = prepare_now(p->manager, p->snapshot, p->lease, tree, &local);
        }
        p->callback(NULL, r, e, p->userdata);
}

/* What is to be made, with everything checked that can be. */
static int request_to_snapshot(Manager *m, const SnapshotRequest *request, Snapshot **ret,
                               Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof(Snapshot)), *parent = NULL,
                                           *old = NULL;
        const char *snapshotter;
        SnapshotPlace place;
        int r;

        if (!s)
                return -ENOMEM;
        r = namespace_validate(request->place.namespace, e);
        if (r == 0)
                r = snapshot_key_validate(request->key, "name of the snapshot", e);
        if (r == 0)
                r = snapshotter_choose(m, request->place.namespace, request->place.snapshotter,
                                       &snapshotter, e);
        if (r == 0 && request->lease)
                r = lease_check(m, request->place.namespace, request->lease, e);
        if (r != 0)
                return r;
        place = (SnapshotPlace){request->place.namespace, snapshotter};
        r = db_snapshot_find(m->db, snapshotter, place.namespace, request->key, &old, e);
        if (r == 1)
                return error_setf(e, CTR_ALREADY_EXISTS, "The snapshot \"%s\" exists already",
                                  request->key);
        if (r == 0 && !isempty(request->parent)) {
                r = snapshot_stat(m, &place, request->parent, &parent, e);
                if (r == 0)
                        r = snapshot_check_parent(m, snapshotter, parent->id, e);
        }
        if (r != 0)
                return r;
        s->kind = request->view ? SNAPSHOT_VIEW : SNAPSHOT_ACTIVE;
        s->snapshotter = strdup(snapshotter);
        s->namespace = strdup(place.namespace);
        s->key = strdup(request->key);
        s->parent_id = parent ? parent->id : 0;
        s->labels = json_incref(request->labels);
        if (!s->snapshotter || !s->namespace || !s->key)
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}

int snapshot_prepare(Manager *m, const SnapshotRequest *request, bool *ret_done, Callback callback,
                     void *userdata, Error *e) {
        _cleanup_(preparation_freep) Preparation *p = NULL;
        const Snapshot *s;
        int r;

        assert(m && request && ret_done);

        p = calloc(1, sizeof(Preparation));
        if (!p)
                return -ENOMEM;
        r = request_to_snapshot(m, request, &p->snapshot, e);
        if (r != 0)
                return r;
        s = p->snapshot;
        *ret_done = !snapshot_needs_copy(s->snapshotter, s->parent_id);
        if (*ret_done)
                return prepare_now(m, s, request->lease, NULL, e);
        if (free_and_strdup(&p->lease, request->lease) < 0)
                return -ENOMEM;
        p->manager = m;
        p->callback = callback;
        p->userdata = userdata;
        r = snapshot_copy(m, s->snapshotter, s->namespace, s->parent_id, on_prepared, p, e);
        if (r == 0)
                TAKE_PTR(p);
        return r;
}
