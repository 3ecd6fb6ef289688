/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An active snapshot becomes a committed one: a worker brings it to the disk and counts it, then
 * one transaction changes its kind and its key. Where a container had it as its root, that has none
 * from then on, until another one of the old key is prepared.
 */

#include "basic/clock.h"
#include "basic/strv.h"
#include "manager/container.h"
#include "manager/copy.h"
#include "manager/db.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/snapshot.h"

typedef struct Commit {
        Manager *manager;
        Snapshot *snapshot; /* as it will be; its id and snapshotter are those it has */
        char *key;          /* that it has */
        char *lease;        /* NULL: none */
        Callback callback;
        void *userdata;
} Commit;

static Commit *commit_free(Commit *c) {
        if (!c)
                return NULL;
        snapshot_free(c->snapshot);
        free(c->key);
        free(c->lease);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Commit *, commit_free);

/* The container whose root it is, which must not be in use. */
static int find_user(Manager *m, const Snapshot *s, Container **ret, Error *e) {
        _cleanup_free_ char *id = NULL;
        Container *c;
        int r;

        *ret = NULL;
        r = db_snapshot_user(m->db, s->id, &id, e);
        if (r != 1)
                return r;
        c = CONTAINER(object_find(m, OBJECT_CONTAINER, s->namespace, id));
        if (c && (c->task || c->version_operation))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is the root of the container \"%s\", which "
                                  "has a task: delete the task first",
                                  s->key, id);
        *ret = c;
        return c ? container_check_writers(c, e) : 0;
}

static int check_active(Manager *m, int64_t id, Snapshot **ret, Container **ret_user, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = db_snapshot_get(m->db, id, &s, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The snapshot was removed");
        if (r != 1)
                return r;
        if (s->kind != SNAPSHOT_ACTIVE)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is not active: it is %s", s->key,
                                  snapshot_kind_to_string(s->kind));
        r = snapshot_check_mounts(m, s, e);
        if (r == 0)
                r = find_user(m, s, ret_user, e);
        if (r == 0)
                *ret = TAKE_PTR(s);
        return r;
}

static int commit_rows(Commit *c, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *old = NULL;
        _cleanup_rollback_ Database *transaction = NULL;
        Manager *m = c->manager;
        Container *user;
        int r;

        r = check_active(m, c->snapshot->id, &old, &user, e);
        if (r == 0)
                r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        if (user)
                r = db_container_set_snapshot(m->db, user, 0, user->snapshot_key, now_realtime(),
                                              e);
        if (r == 0)
                r = db_snapshot_commit(m->db, old->id, c->snapshot, e);
        if (r == 0 && c->lease)
                r = lease_rename_snapshot(m, old->namespace, c->lease, old->snapshotter, old->key,
                                          c->snapshot->key, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        if (user)
                user->snapshot = 0;
        return 0;
}

static void on_settled(int r, const Error *e, uint64_t bytes, uint64_t inodes, void *userdata) {
        _cleanup_(commit_freep) Commit *c = userdata;
        _cleanup_error_ Error local = ERROR_NULL;

        if (r == 0) {
                c->snapshot->bytes = bytes;
                c->snapshot->inodes = inodes;
                r = commit_rows(c, &local);
                e = &local;
        }
        c->callback(NULL, r, e, c->userdata);
}

/* What it will be. */
static int commit_new(Manager *m, const Snapshot *old, const SnapshotCommitRequest *request,
                      Commit **ret) {
        _cleanup_(commit_freep) Commit *c = calloc(1, sizeof(Commit));

        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->key = strdup(old->key);
        c->snapshot = calloc(1, sizeof(Snapshot));
        if (!c->key || !c->snapshot)
                return -ENOMEM;
        c->snapshot->id = old->id;
        c->snapshot->snapshotter = strdup(old->snapshotter);
        c->snapshot->namespace = strdup(old->namespace);
        c->snapshot->key = strdup(request->name);
        c->snapshot->labels = json_incref(request->labels ?: old->labels);
        if (!c->snapshot->snapshotter || !c->snapshot->namespace || !c->snapshot->key ||
            free_and_strdup(&c->lease, request->lease) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}

int snapshot_commit(Manager *m, const SnapshotCommitRequest *request, Callback callback,
                    void *userdata, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *active = NULL, *other = NULL;
        _cleanup_(commit_freep) Commit *c = NULL;
        const char *name = request->name;
        Container *user;
        int r;

        r = snapshot_key_validate(name, "name to commit the snapshot as", e);
        if (r == 0 && request->lease)
                r = lease_check(m, request->place.namespace, request->lease, e);
        if (r == 0)
                r = snapshot_stat(m, &request->place, request->key, &s, e);
        if (r == 0)
                r = check_active(m, s->id, &active, &user, e);
        if (r != 0)
                return r;
        r = db_snapshot_find(m->db, s->snapshotter, s->namespace, name, &other, e);
        if (r == 1)
                return error_setf(e, CTR_ALREADY_EXISTS, "The snapshot \"%s\" exists already",
                                  name);
        if (r == 0)
                r = commit_new(m, s, request, &c);
        if (r != 0)
                return r;
        c->callback = callback;
        c->userdata = userdata;
        r = snapshot_settle(m, s, on_settled, c, e);
        if (r == 0)
                TAKE_PTR(c);
        return r;
}
