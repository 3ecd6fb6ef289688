/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of content: blobs as the namespaces have them, and those that are on their way. */

#include "basic/clock.h"
#include "basic/json.h"
#include "manager/content.h"
#include "manager/db-internal.h"

#define CONTENT_COLUMNS                                                                            \
        "SELECT c.id, c.namespace, c.digest, b.media_type, b.size, c.labels, c.created_at,"        \
        " b.damaged_at, (SELECT count(*) FROM image_blobs i WHERE i.digest = c.digest"             \
        " AND i.namespace = c.namespace) FROM content c JOIN blobs b ON b.digest = c.digest "

/* The strings live as long as the row. */
static int content_from_row(sqlite3_stmt *s, Content *ret) {
        json_t *labels = db_column_object(s, 5);

        if (!labels)
                return -ENOMEM;
        *ret = (Content){
                        .id = sqlite3_column_int64(s, 0),
                        .namespace = (const char *) sqlite3_column_text(s, 1),
                        .digest = (const char *) sqlite3_column_text(s, 2),
                        .media_type = (const char *) sqlite3_column_text(s, 3) ?: "",
                        .size = (uint64_t) sqlite3_column_int64(s, 4),
                        .labels = labels,
                        .created_at = (uint64_t) sqlite3_column_int64(s, 6),
                        .damaged_at = (uint64_t) sqlite3_column_int64(s, 7),
                        .n_images = (uint64_t) sqlite3_column_int64(s, 8),
        };
        return 0;
}

int db_content_foreach(Database *db, const char *namespace,
                       int (*f)(const Content *c, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       CONTENT_COLUMNS "WHERE ?1 IS NULL OR c.namespace = ?1"
                                       " ORDER BY c.namespace, c.digest",
                       "s", namespace);
        while (r == 0 && (r = db_step(db, s, e, "list the content")) == 1) {
                Content c;

                r = content_from_row(s, &c);
                if (r < 0)
                        return r;
                r = f(&c, userdata);
                json_decref(c.labels);
        }
        return r;
}

int db_content_find(Database *db, const char *namespace, const char *digest, int64_t *ret_id,
                    Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT id FROM content WHERE namespace = ?1 AND digest = ?2",
                       "ss", namespace, digest);
        if (r == 0)
                r = db_step(db, s, e, "look content up");
        if (r == 1)
                *ret_id = sqlite3_column_int64(s, 0);
        return r;
}

int db_content_set_labels(Database *db, int64_t id, json_t *labels, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(labels, &text);
        if (r < 0)
                return r;
        return db_exec(db, e, "change the labels of content",
                       "UPDATE content SET labels = ?2, updated_at = ?3 WHERE id = ?1", "lsl", id,
                       text, (int64_t) now_realtime());
}

/* Directly: what is needed only by something that nothing needs is not worth a refusal. */
int db_content_user(Database *db, const char *namespace, const char *digest, char **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r, k;

        r = db_prepare(db, &s, e,
                       "SELECT 'the image \"' || name || '\"' FROM image_blobs"
                       " WHERE namespace = ?1 AND digest = ?2"
                       " UNION ALL SELECT 'the lease \"' || r.lease || '\"' FROM lease_resources r"
                       " JOIN leases l ON l.namespace = r.namespace AND l.id = r.lease"
                       " WHERE r.type = 'content' AND r.key = ?2 AND r.namespace = ?1"
                       " AND (l.expires_at = 0 OR l.expires_at > ?3)"
                       " UNION ALL SELECT 'the content ' || c.digest FROM content c,"
                       " json_each(c.labels) j WHERE instr(c.labels, 'containerd.io/gc.') > 0"
                       " AND c.namespace = ?1 AND j.value = ?2 AND c.digest <> ?2"
                       " AND j.key GLOB 'containerd.io/gc.ref.content*' LIMIT 1",
                       "ssl", namespace, digest, (int64_t) now_realtime());
        if (r == 0)
                r = db_step(db, s, e, "find out who needs content");
        if (r != 1)
                return r;
        k = db_column_string(s, 0, ret);
        return k < 0 ? k : 1;
}

int db_blob_set_damaged(Database *db, const char *digest, uint64_t damaged_at, Error *e) {
        return db_exec(db, e, "note a damaged blob",
                       "UPDATE blobs SET damaged_at = ?2 WHERE digest = ?1", "sl", digest,
                       (int64_t) damaged_at);
}

int db_damaged_images_foreach(Database *db,
                              int (*f)(const char *namespace, const char *name, void *userdata),
                              void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT DISTINCT i.namespace, i.name FROM blobs b"
                       " JOIN image_blobs i ON i.digest = b.digest WHERE b.damaged_at <> 0",
                       "");
        while (r == 0 && (r = db_step(db, s, e, "look for damaged images")) == 1)
                r = f((const char *) sqlite3_column_text(s, 0),
                      (const char *) sqlite3_column_text(s, 1), userdata);
        return r;
}

int db_ingest_put(Database *db, const char *namespace, const char *digest, uint64_t size,
                  Error *e) {
        return db_exec(db, e, "note what is fetched",
                       "INSERT INTO ingests(namespace, digest, size, started_at)"
                       " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET size = excluded.size",
                       "ssll", namespace, digest, (int64_t) size, (int64_t) now_realtime());
}

int db_ingest_forget(Database *db, const char *digest, Error *e) {
        return db_exec(db, e, "forget what was fetched", "DELETE FROM ingests WHERE digest = ?1",
                       "s", digest);
}

int db_ingest_foreach(Database *db, const char *namespace,
                      int (*f)(const IngestEntry *i, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT namespace, digest, size, started_at FROM ingests"
                       " WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, digest",
                       "s", namespace);
        while (r == 0 && (r = db_step(db, s, e, "list what is fetched")) == 1)
                r = f(&(IngestEntry){.namespace = (const char *) sqlite3_column_text(s, 0),
                                     .digest = (const char *) sqlite3_column_text(s, 1),
                                     .total = (uint64_t) sqlite3_column_int64(s, 2),
                                     .started_at = (uint64_t) sqlite3_column_int64(s, 3)},
                      userdata);
        return r;
}
