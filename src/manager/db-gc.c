/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The graph of manager/db-gc.h as one recursive query, and what is done with its answer. */

#include "manager/db-gc.h"

#include "basic/clock.h"
#include "manager/db-internal.h"

/* Kinds of nodes; 0 is what is a root by itself, an image or a container. */
#define CONTENT  "1"
#define SNAPSHOT "2"

#define LABEL "containerd.io/gc."

/* clang-format off */

/* The label's key is NAME, or NAME with something that only makes it different from others. */
#define KEY_IS(name) "(l.key = '" LABEL name "' OR l.key GLOB '" LABEL name "[./]*')"

/* The snapshotter in the keys LABEL "ref.snapshot.SNAPSHOTTER/..." and "bref.snapshot. ...": what
 * stands between the character with that number, counted from 1, and the next slash. */
#define SNAPSHOTTER_AT(n) "substr(l.key, " n ", instr(substr(l.key, " n ") || '/', '/') - 1)"
#define REF_SNAPSHOTTER   SNAPSHOTTER_AT("31")
#define BREF_SNAPSHOTTER  SNAPSHOTTER_AT("32")

/* Layers belong to all namespaces, and may name what is in any. */
#define CONTENT_OF_LABEL "content t ON t.digest = l.value AND l.namespace IN (t.namespace, '')"
#define SNAPSHOT_OF_LABEL(snapshotter)                                                             \
        "snapshots t ON t.snapshotter = " snapshotter " AND t.namespace IN (l.namespace, '')"      \
        " AND t.key = l.value"

#define LABELS_OF(kind, id, table)                                                                 \
        "SELECT " kind ", " id ", t.namespace, j.key, j.value FROM " table " t, json_each(t.labels) j" \
        " WHERE instr(t.labels, '" LABEL "') > 0"

/*
 * GRAPH(seeds) begins a query that has the table live(kind, id, flat): what is reached from the
 * seeds and from what labels say of images, containers and roots. flat: held, but not followed where
 * labels lead. Labels and their edges are few, or none: they are looked up once.
 */
#define GRAPH(seeds)                                                                               \
        "WITH RECURSIVE labels(kind, id, namespace, key, value) AS MATERIALIZED ("                 \
        LABELS_OF(CONTENT, "t.id", "content")                                                      \
        " UNION ALL " LABELS_OF(SNAPSHOT, "t.id", "snapshots")                                     \
        " UNION ALL " LABELS_OF("0", "0", "images")                                                \
        " UNION ALL " LABELS_OF("0", "0", "containers") "),"                                       \
        " edges(from_kind, from_id, to_kind, to_id) AS MATERIALIZED ("                             \
        "SELECT l.kind, l.id, " CONTENT ", t.id FROM labels l JOIN " CONTENT_OF_LABEL              \
        " WHERE " KEY_IS("ref.content")                                                            \
        " UNION ALL SELECT l.kind, l.id, " SNAPSHOT ", t.id FROM labels l"                         \
        " JOIN " SNAPSHOT_OF_LABEL(REF_SNAPSHOTTER)                                                \
        " WHERE l.key GLOB '" LABEL "ref.snapshot.?*'"                                             \
        " UNION ALL SELECT " CONTENT ", t.id, l.kind, l.id FROM labels l JOIN " CONTENT_OF_LABEL   \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.content")                                           \
        " UNION ALL SELECT " SNAPSHOT ", t.id, l.kind, l.id FROM labels l"                         \
        " JOIN " SNAPSHOT_OF_LABEL(BREF_SNAPSHOTTER)                                               \
        " WHERE l.kind <> 0 AND l.key GLOB '" LABEL "bref.snapshot.?*'"                            \
        " UNION ALL SELECT 0, 0, l.kind, l.id FROM labels l"                                       \
        " JOIN images t ON l.namespace IN (t.namespace, '') AND t.name = l.value"                  \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.image")                                             \
        " UNION ALL SELECT 0, 0, l.kind, l.id FROM labels l"                                       \
        " JOIN containers t ON l.namespace IN (t.namespace, '') AND t.id = l.value"                \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.container") "),"                                    \
        " live(kind, id, flat) AS (" seeds                                                         \
        " UNION SELECT kind, id, 0 FROM labels"                                                    \
        " WHERE kind <> 0 AND key = '" LABEL "root' AND value <> ''"                               \
        " UNION SELECT to_kind, to_id, 0 FROM edges WHERE from_kind = 0"                           \
        " UNION SELECT " SNAPSHOT ", s.parent, l.flat FROM live l JOIN snapshots s ON s.id = l.id" \
        " WHERE l.kind = " SNAPSHOT " AND s.parent IS NOT NULL"                                    \
        " UNION SELECT e.to_kind, e.to_id, 0 FROM live l"                                          \
        " JOIN edges e ON e.from_kind = l.kind AND e.from_id = l.id WHERE l.flat = 0) "

/* ?1 is the time. */
#define LEASES                                                                                     \
        "leases l JOIN lease_resources r ON r.namespace = l.namespace AND r.lease = l.id"
#define LEASED(kind, target)                                                                       \
        "SELECT " kind ", t.id, json_extract(l.labels, '$.\"" LABEL "flat\"') IS NOT NULL"         \
        " FROM " LEASES " JOIN " target " WHERE (l.expires_at = 0 OR l.expires_at > ?1)"

#define SEEDS_LEASES                                                                               \
        LEASED(CONTENT, "content t ON r.type = 'content' AND t.namespace = r.namespace"            \
               " AND t.digest = r.key")                                                            \
        " UNION " LEASED(SNAPSHOT, "snapshots t ON r.type GLOB 'snapshots/*'"                      \
               " AND t.snapshotter = substr(r.type, 11) AND t.namespace IN (r.namespace, '')"      \
               " AND t.key = r.key")

#define SEEDS_CONTAINERS                                                                           \
        "SELECT " SNAPSHOT ", snapshot, 0 FROM containers WHERE snapshot IS NOT NULL"

#define SEEDS_IMAGES(condition)                                                                    \
        "SELECT " CONTENT ", c.id, 0 FROM images i"                                                \
        " JOIN image_blobs b ON b.namespace = i.namespace AND b.name = i.name"                     \
        " JOIN content c ON c.namespace = b.namespace AND c.digest = b.digest WHERE " condition    \
        " UNION SELECT " SNAPSHOT ", i.snapshot, 0 FROM images i"                                  \
        " WHERE i.snapshot IS NOT NULL AND " condition

#define SEEDS_OWN(condition)                                                                       \
        "SELECT " SNAPSHOT ", id, 0 FROM snapshots WHERE namespace <> '' AND " condition           \
        " AND json_extract(labels, '$.\"org.example.Ctr/gc.collect\"') IS NULL"

/* What images hold is most of the content, and leads nowhere but by labels: only what has edges is
 * followed, and the rest needs not be remembered. */
#define HELD_BY_IMAGE(c)                                                                           \
        "EXISTS (SELECT 1 FROM image_blobs b WHERE b.digest = " c ".digest"                        \
        " AND b.namespace = " c ".namespace)"
#define SEEDS_ROOTS                                                                                \
        "SELECT " CONTENT ", c.id, 0 FROM edges e JOIN content c ON c.id = e.from_id"              \
        " WHERE e.from_kind = " CONTENT " AND " HELD_BY_IMAGE("c")                                 \
        " UNION SELECT " SNAPSHOT ", snapshot, 0 FROM images WHERE snapshot IS NOT NULL"           \
        " UNION " SEEDS_CONTAINERS " UNION " SEEDS_OWN("1") " UNION " SEEDS_LEASES

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

static int run_script(Database *db, const char *sql, Error *e) {
        if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
                return db_error(db, e, "prepare for a collection");
        return 0;
}

int db_gc_prepare(Database *db, Error *e) {
        return run_script(db, touched_sql, e);
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

static int read_sums(Database *db, sqlite3_stmt *s, uint64_t *const *sums, size_t n, Error *e) {
        int r;

        r = db_step(db, s, e, "sum up what there is");
        if (r != 1)
                return r;
        for (size_t i = 0; i < n; i++)
                *sums[i] = (uint64_t) sqlite3_column_int64(s, (int) i);
        return 0;
}

/* clang-format off */
#define SEEDS_USED                                                                                 \
        SEEDS_IMAGES("EXISTS (SELECT 1 FROM containers u WHERE u.namespace = i.namespace"          \
                     " AND u.image = i.name)")                                                     \
        " UNION " SEEDS_CONTAINERS " UNION " SEEDS_OWN("1") " UNION " SEEDS_LEASES
#define SEEDS_NAMESPACE                                                                            \
        SEEDS_IMAGES("i.namespace = ?2") " UNION " SEEDS_CONTAINERS " AND namespace = ?2"          \
        " UNION SELECT " SNAPSHOT ", id, 0 FROM snapshots WHERE namespace = ?2"
/* clang-format on */

/* Fills scope with what there is in the namespace, and used with what may not go. */
static int usage_tables(Database *reader, const char *namespace, uint64_t now, Error *e) {
        int r;

        r = run_script(reader,
                       "CREATE TEMP TABLE IF NOT EXISTS scope (kind, id, PRIMARY KEY (kind, id));"
                       "CREATE TEMP TABLE IF NOT EXISTS used (kind, id, PRIMARY KEY (kind, id));"
                       "DELETE FROM scope; DELETE FROM used;",
                       e);
        if (r != 0)
                return r;
        r = db_exec(reader, e, "find out what there is",
                    "INSERT INTO scope SELECT " CONTENT ", id FROM content"
                    " WHERE ?1 IS NULL OR namespace = ?1",
                    "s", namespace);
        if (r == 0 && !namespace)
                r = db_exec(reader, e, "find out what there is",
                            "INSERT INTO scope SELECT " SNAPSHOT ", id FROM snapshots", "");
        if (r == 0 && namespace)
                r = db_exec(reader, e, "find out what there is",
                            "INSERT INTO scope " GRAPH(SEEDS_NAMESPACE) //
                            "SELECT DISTINCT kind, id FROM live WHERE kind = " SNAPSHOT,
                            "ls", (int64_t) now, namespace);
        if (r == 0)
                r = db_exec(reader, e, "find out what is used",
                            "INSERT INTO used " GRAPH(SEEDS_USED) //
                            "SELECT DISTINCT kind, id FROM live",
                            "l", (int64_t) now);
        return r;
}

int db_usage(Database *reader, const char *namespace, uint64_t now, DbUsage *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *objects = NULL, *blobs = NULL, *snapshots = NULL;
        uint64_t free_blobs = 0, free_snapshots = 0;
        DbUsage u = {};
        int r;

        r = usage_tables(reader, namespace, now, e);
        if (r == 0)
                r = db_prepare(reader, &objects, e,
                               "SELECT (SELECT count(*) FROM images"
                               "  WHERE ?1 IS NULL OR namespace = ?1),"
                               " (SELECT count(*) FROM containers"
                               "  WHERE ?1 IS NULL OR namespace = ?1),"
                               " (SELECT count(*) FROM leases WHERE ?1 IS NULL OR namespace = ?1)",
                               "s", namespace);
        if (r == 0)
                r = read_sums(reader, objects,
                              (uint64_t *const[]){&u.images, &u.containers, &u.leases}, 3, e);
        if (r == 0)
                r = db_prepare(reader, &blobs, e,
                               "SELECT count(*), sum(size), sum(size) FILTER (WHERE NOT used)"
                               " FROM (SELECT b.size AS size, max(EXISTS (SELECT 1 FROM used u"
                               "  WHERE u.kind = " CONTENT " AND u.id = c.id)) AS used"
                               "  FROM content c JOIN blobs b ON b.digest = c.digest"
                               "  WHERE c.digest IN (SELECT n.digest FROM scope s"
                               "   JOIN content n ON n.id = s.id WHERE s.kind = " CONTENT ")"
                               "  GROUP BY b.digest)",
                               "");
        if (r == 0)
                r = read_sums(reader, blobs,
                              (uint64_t *const[]){&u.blobs, &u.content_bytes, &free_blobs}, 3, e);
        if (r == 0)
                r = db_prepare(reader, &snapshots, e,
                               "SELECT count(*), sum(bytes), sum(bytes) FILTER (WHERE NOT EXISTS"
                               " (SELECT 1 FROM used u WHERE u.kind = " SNAPSHOT
                               " AND u.id = s.id))"
                               " FROM scope n JOIN snapshots s ON s.id = n.id"
                               " WHERE n.kind = " SNAPSHOT,
                               "");
        if (r == 0)
                r = read_sums(reader, snapshots,
                              (uint64_t *const[]){&u.snapshots, &u.snapshot_bytes, &free_snapshots},
                              3, e);
        if (r != 0)
                return r;
        u.reclaimable_bytes = free_blobs + free_snapshots;
        *ret = u;
        return 0;
}
