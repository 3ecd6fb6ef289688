/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of snapshots. */

#include "basic/clock.h"
#include "manager/db-internal.h"

int db_snapshot_insert(Database *db, const char *namespace, const char *key, SnapshotKind kind,
                       int64_t parent, uint64_t bytes, uint64_t inodes, int64_t *ret_id, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        r = db_exec(db, &local, "record a snapshot",
                    "INSERT INTO snapshots(snapshotter, namespace, key, kind, parent, bytes, "
                    "inodes,"
                    " created_at, updated_at) VALUES('overlayfs', ?1, ?2, ?3, nullif(?4, 0), ?5, "
                    "?6,"
                    " ?7, ?7)",
                    "ssillll", namespace, key, (int) kind, parent, (int64_t) bytes,
                    (int64_t) inodes, (int64_t) now_realtime());
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The snapshot \"%s\" exists already", key);
        if (r != 0)
                return error_move(e, &local);
        *ret_id = sqlite3_last_insert_rowid(db->handle);
        return 0;
}

int db_snapshot_find(Database *db, const char *namespace, const char *key, int64_t *ret_id,
                     Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT id FROM snapshots WHERE namespace = ?1 AND key = ?2",
                       "ss", namespace, key);
        if (r != 0)
                return r;
        r = db_step(db, s, e, "look a snapshot up");
        if (r == 1)
                *ret_id = sqlite3_column_int64(s, 0);
        return r;
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
