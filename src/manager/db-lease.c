/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of leases and of what they hold. */

#include "basic/clock.h"
#include "basic/json.h"
#include "manager/db-internal.h"
#include "manager/lease.h"

int db_lease_create(Database *db, const char *namespace, const char *id, json_t *labels,
                    uint64_t expires_at, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(labels, &text);
        if (r < 0)
                return r;
        r = db_exec(db, &local, "record a lease",
                    "INSERT INTO leases(namespace, id, labels, created_at, expires_at)"
                    " VALUES(?1, ?2, ?3, ?4, ?5)",
                    "sssll", namespace, id, text, (int64_t) now_realtime(), (int64_t) expires_at);
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The lease \"%s\" exists already", id);
        return r != 0 ? error_propagate(e, r, &local) : 0;
}

int db_lease_exists(Database *db, const char *namespace, const char *id, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT 1 FROM leases WHERE namespace = ?1 AND id = ?2", "ss",
                       namespace, id);
        return r != 0 ? r : db_step(db, s, e, "look a lease up");
}

int db_lease_delete(Database *db, const char *namespace, const char *id, Error *e) {
        return db_exec(db, e, "remove a lease",
                       "DELETE FROM leases WHERE namespace = ?1 AND id = ?2", "ss", namespace, id);
}

static int append_lease(json_t *list, sqlite3_stmt *s) {
        return json_array_append_new(list, json_pack("{ss ss so sI sI}", "namespace",
                                                     sqlite3_column_text(s, 0), "id",
                                                     sqlite3_column_text(s, 1), "labels",
                                                     db_column_object(s, 2), "created_at",
                                                     (json_int_t) sqlite3_column_int64(s, 3),
                                                     "expires_at",
                                                     (json_int_t) sqlite3_column_int64(s, 4))) < 0
                               ? -ENOMEM
                               : 0;
}

/* Takes over list. */
static int finish_list(int r, json_t *list, json_t **ret) {
        if (r != 0) {
                json_decref(list);
                return r;
        }
        *ret = list;
        return 0;
}

int db_lease_list(Database *db, const char *namespace, uint64_t expired_by, json_t **ret,
                  Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        json_t *list = json_array();
        int r;

        r = !list ? -ENOMEM
                  : db_prepare(db, &s, e,
                               "SELECT namespace, id, labels, created_at, expires_at FROM leases"
                               " WHERE (?1 IS NULL OR namespace = ?1)"
                               " AND (?2 = 0 OR (expires_at <> 0 AND expires_at <= ?2))"
                               " ORDER BY namespace, id",
                               "sl", namespace, (int64_t) expired_by);
        while (r == 0 && (r = db_step(db, s, e, "list the leases")) == 1)
                r = append_lease(list, s);
        return finish_list(r, list, ret);
}

int db_lease_next_expiry(Database *db, uint64_t *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT min(expires_at) FROM leases WHERE expires_at <> 0", "");
        if (r == 0)
                r = db_step(db, s, e, "look for the next lease that expires");
        if (r != 1)
                return r;
        *ret = (uint64_t) sqlite3_column_int64(s, 0);
        return 0;
}

int db_lease_add(Database *db, const char *namespace, const char *id, const char *type,
                 const char *key, Error *e) {
        return db_exec(db, e, "record what a lease holds",
                       "INSERT INTO lease_resources(namespace, lease, type, key)"
                       " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                       "ssss", namespace, id, type, key);
}

int db_lease_add_image(Database *db, const char *namespace, const char *id, const char *image,
                       Error *e) {
        int r;

        r = db_lease_add(db, namespace, id, "images", image, e);
        if (r == 0)
                r = db_exec(db, e, "record what a lease holds",
                            "INSERT INTO lease_resources(namespace, lease, type, key)"
                            " SELECT ?1, ?2, 'content', digest FROM image_blobs"
                            " WHERE namespace = ?1 AND name = ?3 ON CONFLICT DO NOTHING",
                            "sss", namespace, id, image);
        if (r == 0)
                r = db_exec(db, e, "record what a lease holds",
                            "INSERT INTO lease_resources(namespace, lease, type, key)"
                            " SELECT ?1, ?2, 'snapshots/' || s.snapshotter, s.key FROM images i"
                            " JOIN snapshots s ON s.id = i.snapshot"
                            " WHERE i.namespace = ?1 AND i.name = ?3 ON CONFLICT DO NOTHING",
                            "sss", namespace, id, image);
        return r;
}

int db_lease_add_layer(Database *db, const char *namespace, const char *id, int64_t snapshot,
                       Error *e) {
        return db_exec(db, e, "record what a lease holds",
                       "INSERT INTO lease_resources(namespace, lease, type, key)"
                       " SELECT ?1, ?2, 'snapshots/' || snapshotter, key FROM snapshots"
                       " WHERE id = ?3 ON CONFLICT DO NOTHING",
                       "ssl", namespace, id, snapshot);
}

int db_lease_remove(Database *db, const char *namespace, const char *id, const char *type,
                    const char *key, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "DELETE FROM lease_resources WHERE namespace = ?1 AND lease = ?2"
                       " AND type = ?3 AND key = ?4 RETURNING 1",
                       "ssss", namespace, id, type, key);
        if (r == 0)
                r = db_step(db, s, e, "forget what a lease holds");
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The lease \"%s\" does not hold the %s \"%s\"",
                                  id, type, key);
        return r == 1 ? db_step(db, s, e, "forget what a lease holds") : r;
}

int db_lease_resources(Database *db, const char *namespace, const char *id, json_t **ret,
                       Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        json_t *list = json_array();
        int r;

        r = !list ? -ENOMEM
                  : db_prepare(db, &s, e,
                               "SELECT type, key FROM lease_resources"
                               " WHERE namespace = ?1 AND lease = ?2 ORDER BY type, key",
                               "ss", namespace, id);
        while (r == 0 && (r = db_step(db, s, e, "list what a lease holds")) == 1)
                r = json_array_append_new(list,
                                          json_pack("{ss ss}", "type", sqlite3_column_text(s, 0),
                                                    "key", sqlite3_column_text(s, 1))) < 0
                                    ? -ENOMEM
                                    : 0;
        return finish_list(r, list, ret);
}

int db_lease_holds(Database *db, const char *type, const char *key, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT 1 FROM lease_resources r"
                       " JOIN leases l ON l.namespace = r.namespace AND l.id = r.lease"
                       " WHERE r.type = ?1 AND r.key = ?2"
                       " AND (l.expires_at = 0 OR l.expires_at > ?3)",
                       "ssl", type, key, (int64_t) now_realtime());
        return r != 0 ? r : db_step(db, s, e, "look for a lease");
}

int db_leased_content_foreach(Database *db, int (*f)(const char *digest, void *userdata),
                              void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT DISTINCT r.key FROM lease_resources r"
                       " JOIN leases l ON l.namespace = r.namespace AND l.id = r.lease"
                       " WHERE r.type = 'content' AND (l.expires_at = 0 OR l.expires_at > ?1)",
                       "l", (int64_t) now_realtime());
        while (r == 0 && (r = db_step(db, s, e, "list what leases hold")) == 1)
                r = f((const char *) sqlite3_column_text(s, 0), userdata);
        return r;
}

int db_parse_time(Database *db, const char *text, uint64_t *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        /* SQLite's own formats are more than those of RFC 3339 */
        r = db_prepare(db, &s, e,
                       "SELECT unixepoch(?1) WHERE ?1 LIKE '____-__-__T%' AND unixepoch(?1) > 0",
                       "s", text);
        if (r == 0)
                r = db_step(db, s, e, "read a time");
        if (r == 1)
                *ret = (uint64_t) sqlite3_column_int64(s, 0) * USEC_PER_SEC;
        return r;
}
