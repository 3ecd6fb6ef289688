/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of snapshots, and what is garbage. */

#include "basic/clock.h"
#include "manager/db-internal.h"

int db_snapshot_insert(Database *db, const char *namespace, const char *key, SnapshotKind kind,
                       int64_t parent, uint64_t bytes, uint64_t inodes, int64_t *ret_id, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        r = db_exec(db, &local, "record a snapshot",
                    "INSERT INTO snapshots(namespace, key, kind, parent, bytes, inodes, created_at)"
                    " VALUES(?1, ?2, ?3, nullif(?4, 0), ?5, ?6, ?7)",
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

/* Deletes with a RETURNING clause and collects what was deleted. */
static int delete_returning(Database *db, const char *sql, bool integers, json_t *array, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, sql, "");
        while (r == 0 && (r = db_step(db, s, e, "collect garbage")) == 1) {
                json_t *item = integers ? json_integer(sqlite3_column_int64(s, 0))
                                        : json_string((const char *) sqlite3_column_text(s, 0));

                r = json_array_append_new(array, item) < 0 ? -ENOMEM : 0;
        }
        return r;
}

int db_collect(Database *db, json_t **ret_blobs, json_t **ret_snapshots, Error *e) {
        static const char snapshots_sql[] =
                        "WITH RECURSIVE live(id) AS ("
                        " SELECT snapshot FROM images WHERE snapshot IS NOT NULL"
                        " UNION SELECT snapshot FROM containers WHERE snapshot IS NOT NULL"
                        " UNION SELECT id FROM snapshots WHERE kind <> 0" /* active ones are
                                                                             somebody's */
                        " UNION SELECT s.parent FROM snapshots s JOIN live l ON s.id = l.id"
                        " WHERE s.parent IS NOT NULL)"
                        " DELETE FROM snapshots WHERE id NOT IN live RETURNING id";
        static const char blobs_sql[] = "DELETE FROM blobs WHERE digest NOT IN"
                                        " (SELECT digest FROM image_blobs) RETURNING digest";
        _cleanup_rollback_ Database *transaction = NULL;
        json_t *blobs, *snapshots;
        int r;

        blobs = json_array();
        snapshots = json_array();
        r = blobs && snapshots ? db_begin(db, e) : -ENOMEM;
        if (r == 0) {
                transaction = db;
                /* children and parents go in one statement */
                r = db_exec(db, e, "defer foreign keys", "PRAGMA defer_foreign_keys = ON", "");
        }
        if (r == 0)
                r = delete_returning(db, snapshots_sql, true, snapshots, e);
        if (r == 0)
                r = delete_returning(db, blobs_sql, false, blobs, e);
        if (r == 0)
                r = db_commit(db, e);
        if (r != 0) {
                json_decref(blobs);
                json_decref(snapshots);
                return r;
        }
        transaction = NULL;
        *ret_blobs = blobs;
        *ret_snapshots = snapshots;
        return 0;
}
