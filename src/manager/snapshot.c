/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots: what is asked of them by name, and the rules between them. */

#include "manager/snapshot.h"

#include "basic/clock.h"
#include "manager/db.h"
#include "manager/lookup.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define KEY_MAX 255

Snapshot *snapshot_free(Snapshot *s) {
        if (!s)
                return NULL;
        free(s->snapshotter);
        free(s->namespace);
        free(s->key);
        free(s->parent);
        json_decref(s->labels);
        free(s->container);
        free(s->volume);
        free(s);
        return NULL;
}

const char *snapshot_kind_to_string(SnapshotKind k) {
        static const char *const names[_SNAPSHOT_KIND_MAX] = {
                        [SNAPSHOT_COMMITTED] = "Committed",
                        [SNAPSHOT_ACTIVE] = "Active",
                        [SNAPSHOT_VIEW] = "View",
        };

        return k < _SNAPSHOT_KIND_MAX ? names[k] : "Unknown";
}

int snapshot_key_validate(const char *key, const char *what, Error *e) {
        if (isempty(key))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The %s is empty", what);
        if (strlen(key) > KEY_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The %s has more than %i characters",
                                  what, KEY_MAX);
        for (const char *p = key; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The %s has a character that is not printable ASCII",
                                          what);
        return 0;
}

bool snapshot_lookup(const void *snapshot, const FilterField *field, const char **ret) {
        static const char *const kinds[_SNAPSHOT_KIND_MAX] = {
                        [SNAPSHOT_COMMITTED] = "committed",
                        [SNAPSHOT_ACTIVE] = "active",
                        [SNAPSHOT_VIEW] = "view",
        };
        const Snapshot *s = snapshot;

        if (streq(field->rests[0], "name"))
                return filter_value(s->key, ret);
        if (streq(field->rests[0], "parent"))
                return filter_value(s->parent, ret);
        if (streq(field->rests[0], "kind"))
                return filter_value(s->kind < _SNAPSHOT_KIND_MAX ? kinds[s->kind] : "", ret);
        if (streq(field->rests[0], "namespace"))
                return filter_value(s->namespace, ret);
        if (streq(field->rests[0], "snapshotter"))
                return filter_value(s->snapshotter, ret);
        return label_lookup(s->labels, field, ret);
}

int snapshotters_set_default(Manager *m, const char *name, Error *e) {
        const Snapshotter *found = isempty(name) ? snapshotter_get(0) : snapshotter_find(name);

        if (!found)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There is no snapshotter \"%.64s\"",
                                  name);
        m->default_snapshotter = found->name;
        return 0;
}

/* The name of the snapshotter that a place means, available or not. */
static int place_snapshotter(Manager *m, const SnapshotPlace *place, const Snapshotter **ret,
                             Error *e) {
        _cleanup_free_ char *label = NULL;
        const char *name = place->snapshotter;
        const Snapshotter *found;
        int r;

        if (!name) {
                r = db_namespace_label(m->db, place->namespace, NAMESPACE_LABEL_SNAPSHOTTER, &label,
                                       e);
                if (r != 0 && r != 1)
                        return r;
                name = r == 1 ? label : m->default_snapshotter;
        }
        found = snapshotter_find(name);
        if (!found)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There is no snapshotter \"%.64s\"%s",
                                  name,
                                  place->snapshotter ? "" : ", which the namespace's label names");
        *ret = found;
        return 0;
}

int snapshotter_choose(Manager *m, const char *namespace, const char *name, const char **ret,
                       Error *e) {
        const SnapshotPlace place = {.namespace = namespace, .snapshotter = name};
        const Snapshotter *found;
        const char *reason;
        int r;

        r = place_snapshotter(m, &place, &found, e);
        if (r != 0)
                return r;
        reason = snapshotter_reason(m, found->name);
        if (reason)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "The snapshotter \"%s\" is not available: %s", found->name,
                                  reason);
        *ret = found->name;
        return 0;
}

/* Of this namespace; with layers, or else one of the images'. */
static int find(Manager *m, const SnapshotPlace *place, const char *key, bool layers,
                Snapshot **ret, Error *e) {
        const Snapshotter *snapshotter;
        Snapshot *found = NULL;
        int r;

        r = snapshot_key_validate(key, "name of the snapshot", e);
        if (r == 0)
                r = place_snapshotter(m, place, &snapshotter, e);
        if (r != 0)
                return r;
        r = db_snapshot_find(m->db, snapshotter->name, place->namespace, key, &found, e);
        if (r == 0) {
                r = db_snapshot_find(m->db, SNAPSHOTTER_LAYERS, "", key, &found, e);
                if (r == 1 && !layers) {
                        snapshot_free(found);
                        return error_setf(e, CTR_FAILED_PRECONDITION,
                                          "The snapshot \"%s\" is a layer of images, and belongs "
                                          "to them",
                                          key);
                }
        }
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND,
                                  "There is no snapshot \"%s\" of %s in namespace \"%s\"", key,
                                  snapshotter->name, place->namespace);
        if (r != 1)
                return r;
        *ret = found;
        return 0;
}

int snapshot_stat(Manager *m, const SnapshotPlace *place, const char *key, Snapshot **ret,
                  Error *e) {
        return find(m, place, key, true, ret, e);
}

int snapshot_check_parent(Manager *m, const char *snapshotter, int64_t parent, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ int64_t *chain = NULL;
        size_t n = 0;
        int r;

        if (parent == 0)
                return 0;
        r = db_snapshot_get(m->db, parent, &s, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The parent snapshot is gone");
        if (r != 1)
                return r;
        if (s->kind != SNAPSHOT_COMMITTED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The parent snapshot \"%s\" is not committed: it is %s", s->key,
                                  snapshot_kind_to_string(s->kind));
        if (snapshotter_find(snapshotter)->copies)
                return 0;
        r = db_snapshot_chain(m->db, parent, &chain, &n, e);
        if (r == 0 && n > OVERLAYFS_LOWER_MAX)
                r = error_setf(e, CTR_FAILED_PRECONDITION,
                               "The snapshot \"%s\" lies upon %zu others, more cannot be mounted",
                               s->key, n - 1);
        return r;
}

int snapshot_check_mounts(Manager *m, const Snapshot *s, Error *e) {
        _cleanup_free_ char *user = NULL;
        int r;

        if (s->volume)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The snapshot \"%s\" is a volume",
                                  s->key);
        r = db_snapshot_mounter(m->db, s->id, &user, e);
        return r == 1 ? error_setf(e, CTR_FAILED_PRECONDITION,
                                   "The snapshot \"%s\" is mounted by the container \"%s\"", s->key,
                                   user)
                      : r;
}

int snapshot_remove(Manager *m, const SnapshotPlace *place, const char *key, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ char *user = NULL;
        int r;

        r = find(m, place, key, false, &s, e);
        if (r == 0)
                r = snapshot_check_mounts(m, s, e);
        if (r != 0)
                return r;
        r = db_snapshot_child(m->db, s->id, &user, e);
        if (r == 1)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" has children, as \"%s\"", key, user);
        if (r == 0)
                r = db_snapshot_user(m->db, s->id, &user, e);
        if (r == 1)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The snapshot \"%s\" is the root of the container \"%s\"", key,
                                  user);
        if (r == 0)
                r = db_snapshot_delete(m->db, s->id, e);
        if (r != 0)
                return r;
        /* the row is gone: a directory that cannot be moved now goes at the next start */
        (void) sweeper_doom(m->sweeper, s->id, NULL);
        (void) sweeper_collect(m->sweeper, NULL, NULL, NULL);
        return 0;
}

int snapshot_set_labels(Manager *m, const SnapshotPlace *place, const char *key, json_t *labels,
                        Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = find(m, place, key, false, &s, e);
        if (r == 0)
                r = snapshot_check_mounts(m, s, e);
        if (r == 0)
                r = db_snapshot_set_labels(m->db, s->id, labels, now_realtime(), e);
        /* they may say that it is not needed any more */
        if (r == 0)
                (void) sweeper_collect(m->sweeper, NULL, NULL, NULL);
        return r;
}
