/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of snapshots. */

#include "basic/clock.h"
#include "basic/json.h"
#include "manager/db-internal.h"

/* Layers are extracted as overlayfs wants them; the others copy from there. */
#define LAYER_SNAPSHOTTER "overlayfs"

int db_layer_insert(Database *db, const char *chain_id, int64_t parent, uint64_t bytes,
                    uint64_t inodes, int64_t *ret_id, Error *e) {
        return db_snapshot_insert(db,
                                  &(Snapshot){
                                                  .kind = SNAPSHOT_COMMITTED,
                                                  .snapshotter = (char *) LAYER_SNAPSHOTTER,
                                                  .namespace = (char *) "",
                                                  .key = (char *) chain_id,
                                                  .parent_id = parent,
                                                  .bytes = bytes,
                                                  .inodes = inodes,
                                  },
                                  ret_id, e);
}

int db_layer_find(Database *db, const char *chain_id, int64_t *ret_id, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT id FROM snapshots WHERE snapshotter = '" LAYER_SNAPSHOTTER
                       "' AND namespace = '' AND key = ?1",
                       "s", chain_id);
        if (r != 0)
                return r;
        r = db_step(db, s, e, "look a layer up");
        if (r == 1)
                *ret_id = sqlite3_column_int64(s, 0);
        return r;
}

static int labels_to_text(json_t *labels, char **ret) {
        if (labels)
                return json_to_text(labels, ret);
        *ret = strdup("{}");
        return *ret ? 0 : -ENOMEM;
}

int db_snapshot_insert(Database *db, const Snapshot *s, int64_t *ret_id, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *labels = NULL;
        uint64_t now = now_realtime();
        int r;

        r = labels_to_text(s->labels, &labels);
        if (r == 0 && *s->namespace)
                r = db_namespace_ensure(db, s->namespace, e);
        if (r != 0)
                return r;
        r = db_exec(db, &local, "record a snapshot",
                    "INSERT INTO snapshots(snapshotter, namespace, key, kind, parent, bytes,"
                    " inodes, labels, container, version, created_at, updated_at, volume, "
                    "anonymous)"
                    " VALUES(?1, ?2, ?3, ?4, nullif(?5, 0), ?6, ?7, ?8, ?9, nullif(?10, 0), ?11,"
                    " ?11, ?12, ?13)",
                    "sssilllssllsi", s->snapshotter, s->namespace, s->key, (int) s->kind,
                    s->parent_id, (int64_t) s->bytes, (int64_t) s->inodes, labels, s->container,
                    (int64_t) s->version, (int64_t) now, s->volume, (int) s->anonymous);
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The snapshot \"%s\" exists already", s->key);
        if (r != 0)
                return error_propagate(e, r, &local);
        *ret_id = sqlite3_last_insert_rowid(db->handle);
        return 0;
}

int db_snapshot_commit(Database *db, int64_t id, const Snapshot *s, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *labels = NULL;
        int r;

        r = labels_to_text(s->labels, &labels);
        if (r < 0)
                return r;
        r = db_exec(db, &local, "commit a snapshot",
                    "UPDATE snapshots SET kind = 0, key = ?2, bytes = ?3, inodes = ?4, labels = ?5,"
                    " container = ?6, version = nullif(?7, 0), updated_at = ?8 WHERE id = ?1",
                    "lsllssll", id, s->key, (int64_t) s->bytes, (int64_t) s->inodes, labels,
                    s->container, (int64_t) s->version, (int64_t) now_realtime());
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The snapshot \"%s\" exists already", s->key);
        return r != 0 ? error_propagate(e, r, &local) : 0;
}

int db_snapshot_set_labels(Database *db, int64_t id, json_t *labels, uint64_t updated_at,
                           Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = labels_to_text(labels, &text);
        if (r < 0)
                return r;
        return db_exec(db, e, "change a snapshot's labels",
                       "UPDATE snapshots SET labels = ?2, updated_at = ?3 WHERE id = ?1", "lsl", id,
                       text, (int64_t) updated_at);
}

#define FORGET                                                                                     \
        "UPDATE snapshots SET container = NULL, version = NULL, updated_at = now_usec(),"          \
        " labels = json_object('" SNAPSHOT_LABEL_COLLECT "', 'true') WHERE "

int db_snapshot_forget_version(Database *db, int64_t id, Error *e) {
        return db_exec(db, e, "forget a version", FORGET "id = ?1", "l", id);
}

int db_versions_forget(Database *db, const char *namespace, const char *container, Error *e) {
        return db_exec(db, e, "forget a container's versions",
                       FORGET "namespace = ?1 AND container = ?2", "ss", namespace, container);
}

#define SNAPSHOT_COLUMNS                                                                           \
        "SELECT s.id, s.kind, s.snapshotter, s.namespace, s.key, s.parent, p.key, s.labels,"       \
        " s.bytes, s.inodes, s.created_at, s.updated_at, s.container, s.version, s.volume, "       \
        "s.anonymous"                                                                              \
        " FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent "

static int snapshot_from_row(sqlite3_stmt *s, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *new = NULL;
        int r;

        new = calloc(1, sizeof(Snapshot));
        if (!new)
                return -ENOMEM;
        new->id = sqlite3_column_int64(s, 0);
        new->kind = (SnapshotKind) sqlite3_column_int(s, 1);
        r = db_column_string(s, 2, &new->snapshotter);
        if (r == 0)
                r = db_column_string(s, 3, &new->namespace);
        if (r == 0)
                r = db_column_string(s, 4, &new->key);
        new->parent_id = sqlite3_column_int64(s, 5);
        if (r == 0)
                r = db_column_string(s, 6, &new->parent);
        new->labels = db_column_object(s, 7);
        new->bytes = (uint64_t) sqlite3_column_int64(s, 8);
        new->inodes = (uint64_t) sqlite3_column_int64(s, 9);
        new->created_at = (uint64_t) sqlite3_column_int64(s, 10);
        new->updated_at = (uint64_t) sqlite3_column_int64(s, 11);
        if (r == 0)
                r = db_column_string(s, 12, &new->container);
        new->version = (uint32_t) sqlite3_column_int64(s, 13);
        if (r == 0)
                r = db_column_string(s, 14, &new->volume);
        new->anonymous = sqlite3_column_int(s, 15) != 0;
        if (r < 0 || !new->labels)
                return -ENOMEM;
        *ret = TAKE_PTR(new);
        return 0;
}

/* 1 and the snapshot of the statement's first row, 0 if it has none. */
static int read_one(Database *db, sqlite3_stmt *s, Snapshot **ret, Error *e) {
        int r, k;

        r = db_step(db, s, e, "look a snapshot up");
        if (r != 1)
                return r;
        k = snapshot_from_row(s, ret);
        return k < 0 ? k : 1;
}

int db_snapshot_find(Database *db, const char *snapshotter, const char *namespace, const char *key,
                     Snapshot **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       SNAPSHOT_COLUMNS
                       "WHERE s.snapshotter = ?1 AND s.namespace = ?2 AND s.key = ?3",
                       "sss", snapshotter, namespace, key);
        return r != 0 ? r : read_one(db, s, ret, e);
}

int db_volume_find(Database *db, const char *namespace, const char *name, Snapshot **ret,
                   Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, SNAPSHOT_COLUMNS "WHERE s.namespace = ?1 AND s.volume = ?2", "ss",
                       namespace, name);
        return r != 0 ? r : read_one(db, s, ret, e);
}

int db_snapshot_get(Database *db, int64_t id, Snapshot **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, SNAPSHOT_COLUMNS "WHERE s.id = ?1", "l", id);
        return r != 0 ? r : read_one(db, s, ret, e);
}

static int foreach_row(Database *db, sqlite3_stmt *s, int (*f)(const Snapshot *s, void *userdata),
                       void *userdata, Error *e) {
        int r;

        while ((r = db_step(db, s, e, "read the snapshots")) == 1) {
                _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;

                r = snapshot_from_row(s, &snapshot);
                if (r == 0)
                        r = f(snapshot, userdata);
                if (r != 0)
                        break;
        }
        return r;
}

int db_snapshots_foreach(Database *db, const char *snapshotter, const char *namespace,
                         int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       SNAPSHOT_COLUMNS "WHERE (?1 IS NULL OR s.snapshotter = ?1)"
                                        " AND (?2 IS NULL OR s.namespace IN (?2, ''))"
                                        " ORDER BY s.namespace, s.key",
                       "ss", snapshotter, namespace);
        return r != 0 ? r : foreach_row(db, s, f, userdata, e);
}

int db_versions_foreach(Database *db, const char *namespace, const char *container,
                        int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       SNAPSHOT_COLUMNS "WHERE s.namespace = ?1 AND s.container = ?2"
                                        " AND s.version IS NOT NULL ORDER BY s.version",
                       "ss", namespace, container);
        return r != 0 ? r : foreach_row(db, s, f, userdata, e);
}

int db_volumes_foreach(Database *db, const char *namespace,
                       int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       SNAPSHOT_COLUMNS "WHERE s.volume IS NOT NULL"
                                        " AND (?1 IS NULL OR s.namespace = ?1)"
                                        " ORDER BY s.namespace, s.volume",
                       "s", namespace);
        return r != 0 ? r : foreach_row(db, s, f, userdata, e);
}

/* 1 and the text of the first row, 0 if there is none. */
static int read_text(Database *db, const char *sql, int64_t id, char **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r, k;

        r = db_prepare(db, &s, e, sql, "l", id);
        if (r == 0)
                r = db_step(db, s, e, "find out who uses a snapshot");
        if (r != 1)
                return r;
        k = db_column_string(s, 0, ret);
        return k < 0 ? k : 1;
}

int db_snapshot_user(Database *db, int64_t id, char **ret_container, Error *e) {
        return read_text(db, "SELECT id FROM containers WHERE snapshot = ?1 LIMIT 1", id,
                         ret_container, e);
}

int db_snapshot_mounter(Database *db, int64_t id, char **ret_container, Error *e) {
        return read_text(db, "SELECT container FROM container_mounts WHERE snapshot = ?1 LIMIT 1",
                         id, ret_container, e);
}

int db_snapshot_child(Database *db, int64_t id, char **ret_key, Error *e) {
        return read_text(db, "SELECT key FROM snapshots WHERE parent = ?1 LIMIT 1", id, ret_key, e);
}

int db_snapshot_delete(Database *db, int64_t id, Error *e) {
        return db_exec(db, e, "remove a snapshot", "DELETE FROM snapshots WHERE id = ?1", "l", id);
}

/* Collects the first column of all rows. */
static int read_ids(Database *db, sqlite3_stmt *s, int64_t **ret, size_t *ret_n, Error *e) {
        _cleanup_free_ int64_t *ids = NULL;
        size_t n = 0;
        int r;

        while ((r = db_step(db, s, e, "read snapshots")) == 1) {
                int64_t *larger = reallocarray(ids, n + 1, sizeof(int64_t));

                if (!larger)
                        return -ENOMEM;
                ids = larger;
                ids[n++] = sqlite3_column_int64(s, 0);
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(ids);
        *ret_n = n;
        return 0;
}

int db_snapshot_chain(Database *db, int64_t id, int64_t **ret, size_t *ret_n, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "WITH RECURSIVE chain(id, parent, depth) AS ("
                       " SELECT id, parent, 0 FROM snapshots WHERE id = ?1"
                       " UNION ALL SELECT s.id, s.parent, depth + 1 FROM snapshots s"
                       " JOIN chain c ON s.id = c.parent)"
                       " SELECT id FROM chain ORDER BY depth",
                       "l", id);
        if (r != 0)
                return r;
        return read_ids(db, s, ret, ret_n, e);
}

int db_snapshot_list(Database *db, int64_t **ret, size_t *ret_n, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT id FROM snapshots ORDER BY id", "");
        if (r != 0)
                return r;
        return read_ids(db, s, ret, ret_n, e);
}

int db_container_mount_insert(Database *db, const Container *c, int64_t snapshot, Error *e) {
        return db_exec(db, e, "record what a container mounts",
                       "INSERT INTO container_mounts(namespace, container, snapshot)"
                       " VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING",
                       "ssl", c->object.namespace, c->object.name, snapshot);
}

int db_container_mounts_own(Database *db, const Container *c, bool volumes, int64_t **ret,
                            size_t *ret_n, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT s.id FROM container_mounts m JOIN snapshots s ON s.id = m.snapshot"
                       " WHERE m.namespace = ?1 AND m.container = ?2"
                       " AND (s.volume IS NULL OR (?3 AND s.anonymous))"
                       " AND NOT EXISTS (SELECT 1 FROM container_mounts o"
                       " WHERE o.snapshot = m.snapshot AND o.container <> m.container)",
                       "ssi", c->object.namespace, c->object.name, (int) volumes);
        return r != 0 ? r : read_ids(db, s, ret, ret_n, e);
}

int db_volume_users(Database *db, int64_t id, json_t **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_json_ json_t *users = json_array();
        int r;

        if (!users)
                return -ENOMEM;
        r = db_prepare(db, &s, e,
                       "SELECT container FROM container_mounts WHERE snapshot = ?1"
                       " ORDER BY container",
                       "l", id);
        while (r == 0 && (r = db_step(db, s, e, "read who mounts a volume")) == 1)
                r = json_array_append_new(users,
                                          json_string((const char *) sqlite3_column_text(s, 0))) < 0
                                    ? -ENOMEM
                                    : 0;
        if (r != 0)
                return r;
        *ret = TAKE_PTR(users);
        return 0;
}
