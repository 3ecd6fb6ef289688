/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The graph of manager/db-gc.h as one recursive query, and what is done with its answer. */

#include "manager/db-gc.h"

#include "manager/db-graph.h"
#include "manager/db-internal.h"

/* clang-format off */

#define TOUCH(name, on, select)                                                                    \
        "CREATE TEMP TRIGGER touch_" name " AFTER " on                                             \
        " BEGIN INSERT INTO touched " select "; END;"
#define TOUCH_SNAPSHOT(name, on, id)                                                               \
        TOUCH(name, on, "SELECT " SNAPSHOT ", " id " WHERE " id " IS NOT NULL")
#define TOUCH_CONTENT(namespace, digest)                                                           \
        "SELECT " CONTENT ", id FROM content WHERE namespace = " namespace " AND digest = " digest
#define TOUCH_LEASED(type, namespace, key)                                                         \
        TOUCH_CONTENT(namespace, key) " AND " type " = 'content'"                                  \
        " UNION ALL SELECT " SNAPSHOT ", id FROM snapshots WHERE " type " GLOB 'snapshots/*'"      \
        " AND snapshotter = substr(" type ", 11) AND namespace IN (" namespace ", '')"             \
        " AND key = " key

/* An ON CONFLICT of the statement that sets a trigger off would be the trigger's, too: so touched has
 * rows several times. It is emptied by each collection, of which there is one every few changes. */
static const char touched_sql[] =
        "CREATE TEMP TABLE touched (kind INTEGER, id INTEGER);"
        "CREATE TEMP TABLE rescued (kind INTEGER, id INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;"
        TOUCH_SNAPSHOT("image", "INSERT ON images", "NEW.snapshot")
        TOUCH_SNAPSHOT("image_update", "UPDATE OF snapshot ON images", "NEW.snapshot")
        TOUCH_SNAPSHOT("container", "INSERT ON containers", "NEW.snapshot")
        TOUCH_SNAPSHOT("container_update", "UPDATE OF snapshot ON containers", "NEW.snapshot")
        TOUCH_SNAPSHOT("child", "INSERT ON snapshots", "NEW.parent")
        TOUCH_SNAPSHOT("snapshot", "UPDATE OF namespace, key, labels ON snapshots", "NEW.id")
        TOUCH_SNAPSHOT("parent", "UPDATE OF parent ON snapshots", "NEW.parent")
        TOUCH("image_blob", "INSERT ON image_blobs", TOUCH_CONTENT("NEW.namespace", "NEW.digest"))
        TOUCH("content", "UPDATE OF labels ON content", "VALUES (" CONTENT ", NEW.id)")
        TOUCH("resource", "INSERT ON lease_resources",
              TOUCH_LEASED("NEW.type", "NEW.namespace", "NEW.key"))
        TOUCH("lease", "UPDATE ON leases",
              "SELECT " CONTENT ", t.id FROM lease_resources r JOIN content t"
              " ON r.type = 'content' AND t.namespace = r.namespace AND t.digest = r.key"
              " WHERE r.namespace = NEW.namespace AND r.lease = NEW.id"
              " UNION ALL SELECT " SNAPSHOT ", t.id FROM lease_resources r JOIN snapshots t"
              " ON r.type GLOB 'snapshots/*' AND t.snapshotter = substr(r.type, 11)"
              " AND t.namespace IN (r.namespace, '') AND t.key = r.key"
              " WHERE r.namespace = NEW.namespace AND r.lease = NEW.id");

/* clang-format on */

void db_garbage_done(DbGarbage *g) {
        free(g->snapshots);
        free(g->content);
        *g = (DbGarbage){};
}

int db_gc_prepare(Database *db, Error *e) {
        return db_run(db, touched_sql, "prepare for a collection", e);
}

int db_gc_begin(Database *db, Error *e) {
        return db_exec(db, e, "begin a collection", "DELETE FROM touched", "");
}

static int append_id(int64_t **ids, size_t *n, int64_t id) {
        /* at each power of two */
        if ((*n & (*n - 1)) == 0) {
                int64_t *larger = reallocarray(*ids, *n == 0 ? 1 : *n * 2, sizeof(int64_t));

                if (!larger)
                        return -ENOMEM;
                *ids = larger;
        }
        (*ids)[(*n)++] = id;
        return 0;
}

int db_gc_find(Database *reader, uint64_t now, DbGarbage *ret, Error *e) {
        _cleanup_(db_garbage_done) DbGarbage g = {};
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(reader, &s, e,
                       GRAPH(SEEDS_ROOTS) //
                       "SELECT " CONTENT " AS kind, id FROM content c"
                       " WHERE NOT " HELD_BY_IMAGE("c") //
                       " UNION ALL SELECT " SNAPSHOT ", id FROM snapshots"
                       " EXCEPT SELECT kind, id FROM live ORDER BY 1, 2 DESC",
                       "l", (int64_t) now);
        while (r == 0 && (r = db_step(reader, s, e, "find garbage")) == 1) {
                int64_t id = sqlite3_column_int64(s, 1);

                r = sqlite3_column_int(s, 0) == 1 ? append_id(&g.content, &g.n_content, id)
                                                  : append_id(&g.snapshots, &g.n_snapshots, id);
        }
        if (r != 0)
                return r;
        *ret = g;
        g = (DbGarbage){};
        return 0;
}

int db_gc_rescue(Database *db, uint64_t now, Error *e) {
        int r;

        r = db_exec(db, e, "begin a collection", "DELETE FROM rescued", "");
        if (r != 0)
                return r;
        return db_exec(db, e, "find out what is needed again",
                       "INSERT INTO rescued " GRAPH(
                                       "SELECT kind, id, 0 FROM touched") "SELECT DISTINCT kind, "
                                                                          "id FROM live",
                       "");
}

void db_removed_done(DbRemoved *r) {
        free(r->blob);
        free(r->snapshotter);
        *r = (DbRemoved){};
}

/* Steps a DELETE with RETURNING to its row and to its end: 1 and the first column as a new string
 * (ret may be NULL), 0 if nothing was deleted. */
static int delete_one(Database *db, sqlite3_stmt *s, char **ret, uint64_t *ret_bytes, Error *e) {
        _cleanup_free_ char *text = NULL;
        uint64_t bytes;
        int r;

        r = db_step(db, s, e, "collect garbage");
        if (r != 1)
                return r;
        r = db_column_string(s, 0, &text);
        bytes = (uint64_t) sqlite3_column_int64(s, 1);
        if (r == 0)
                r = db_step(db, s, e, "collect garbage");
        if (r != 0)
                return r;
        *ret = TAKE_PTR(text);
        *ret_bytes = bytes;
        return 1;
}

int db_content_remove(Database *db, int64_t id, DbRemoved *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL, *blob = NULL;
        _cleanup_(db_removed_done) DbRemoved removed = {};
        _cleanup_free_ char *digest = NULL;
        uint64_t ignored = 0;
        int r;

        r = db_prepare(db, &s, e, "DELETE FROM content WHERE id = ?1 RETURNING digest, 0", "l", id);
        if (r == 0)
                r = delete_one(db, s, &digest, &ignored, e);
        if (r != 1)
                return r;
        r = db_prepare(db, &blob, e,
                       "DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS"
                       " (SELECT 1 FROM content WHERE digest = ?1) RETURNING digest, size",
                       "s", digest);
        if (r == 0)
                r = delete_one(db, blob, &removed.blob, &removed.bytes, e);
        if (r != 0 && r != 1)
                return r;
        *ret = removed;
        removed = (DbRemoved){};
        return 1;
}

static int is_rescued(Database *db, int kind, int64_t id, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT 1 FROM rescued WHERE kind = ?1 AND id = ?2", "il", kind,
                       id);
        return r != 0 ? r : db_step(db, s, e, "find out what is needed again");
}

int db_gc_remove_content(Database *db, int64_t id, DbRemoved *ret, Error *e) {
        int r;

        r = is_rescued(db, 1, id, e);
        return r != 0 ? (r == 1 ? 0 : r) : db_content_remove(db, id, ret, e);
}

int db_gc_remove_snapshot(Database *db, int64_t id, DbRemoved *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = is_rescued(db, 2, id, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        r = db_prepare(db, &s, e,
                       "DELETE FROM snapshots WHERE id = ?1 RETURNING snapshotter, bytes", "l", id);
        return r != 0 ? r : delete_one(db, s, &ret->snapshotter, &ret->bytes, e);
}

int db_gc_expired_images(Database *db, uint64_t now,
                         int (*f)(const char *namespace, const char *name, void *userdata),
                         void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT i.namespace, i.name FROM images i"
                       " WHERE instr(i.labels, '" LABEL "') > 0"
                       " AND unixepoch(json_extract(i.labels, '$.\"" LABEL "expire\"')) * 1000000"
                       " <= ?1 AND NOT EXISTS (SELECT 1 FROM " LEASES " WHERE r.type = 'images'"
                       " AND r.namespace = i.namespace AND r.key = i.name"
                       " AND (l.expires_at = 0 OR l.expires_at > ?1))",
                       "l", (int64_t) now);
        while (r == 0 && (r = db_step(db, s, e, "look for expired images")) == 1)
                r = f((const char *) sqlite3_column_text(s, 0),
                      (const char *) sqlite3_column_text(s, 1), userdata);
        return r;
}
