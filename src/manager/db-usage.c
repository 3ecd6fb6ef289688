/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What there is and what may go, in numbers: the graph of manager/db-gc.h from other roots. */

#include "manager/db-gc.h"
#include "manager/db-graph.h"
#include "manager/db-internal.h"

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

        r = db_run(reader,
                   "CREATE TEMP TABLE IF NOT EXISTS scope (kind, id, PRIMARY KEY (kind, id));"
                   "CREATE TEMP TABLE IF NOT EXISTS used (kind, id, PRIMARY KEY (kind, id));"
                   "DELETE FROM scope; DELETE FROM used;",
                   "prepare for a sum", e);
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
