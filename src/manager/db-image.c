/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of images and of the blobs that each needs. */

#include "basic/json.h"
#include "manager/db-internal.h"
#include "manager/manager.h"

static int put_blob(Database *db, json_t *blob, const char **ret_digest, Error *e) {
        const char *digest = json_string_value(json_object_get(blob, "digest"));
        const char *media_type = json_string_value(json_object_get(blob, "media_type"));
        json_int_t size = json_integer_value(json_object_get(blob, "size"));

        if (!digest || size < 0)
                return error_setf(e, -EBADMSG, "A blob without a digest");
        *ret_digest = digest;
        return db_blob_put(db, digest, media_type, (uint64_t) size, e);
}

int db_blobs_put(Database *db, const char *namespace, json_t *blobs, Error *e) {
        const char *digest;
        json_t *blob;
        size_t n;
        int r;

        json_array_foreach(blobs, n, blob) {
                r = put_blob(db, blob, &digest, e);
                if (r == 0)
                        r = db_exec(db, e, "record content",
                                    "INSERT INTO content(namespace, digest, created_at, updated_at)"
                                    " VALUES(?1, ?2, now_usec(), now_usec()) ON CONFLICT DO "
                                    "NOTHING",
                                    "ss", namespace, digest);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int put_blobs(Database *db, const Image *i, const json_t *blobs, Error *e) {
        json_t *blob;
        size_t n;
        int r;

        r = db_exec(db, e, "forget an image's blobs",
                    "DELETE FROM image_blobs WHERE namespace = ?1 AND name = ?2", "ss",
                    i->object.namespace, i->object.name);
        if (r != 0)
                return r;
        json_array_foreach(blobs, n, blob) {
                const char *digest;

                r = put_blob(db, blob, &digest, e);
                if (r != 0)
                        return r;
                r = db_exec(db, e, "record an image's blob",
                            "INSERT INTO image_blobs(namespace, name, digest) VALUES(?1, ?2, ?3)"
                            " ON CONFLICT DO NOTHING",
                            "sss", i->object.namespace, i->object.name, digest);
                if (r != 0)
                        return r;
        }
        return 0;
}

int db_image_put(Database *db, const Image *i, const json_t *blobs, Error *e) {
        _cleanup_free_ char *labels = NULL, *platforms = NULL;
        int r;

        r = json_to_text(i->labels, &labels);
        if (r >= 0)
                r = json_to_text(i->platforms, &platforms);
        if (r < 0)
                return r;
        r = db_namespace_ensure(db, i->object.namespace, e);
        if (r != 0)
                return r;
        r = db_exec(db, e, "record an image",
                    "INSERT INTO images(namespace, name, digest, media_type, manifest_digest,"
                    " config_digest, size, unpacked, snapshot, labels, platforms, created_at,"
                    " updated_at)"
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0), ?10, ?11, ?12, ?13)"
                    " ON CONFLICT(namespace, name) DO UPDATE SET digest = excluded.digest,"
                    " media_type = excluded.media_type,"
                    " manifest_digest = excluded.manifest_digest,"
                    " config_digest = excluded.config_digest, size = excluded.size,"
                    " unpacked = excluded.unpacked, snapshot = excluded.snapshot,"
                    " labels = excluded.labels, platforms = excluded.platforms,"
                    " updated_at = excluded.updated_at",
                    "sssssslilssll", i->object.namespace, i->object.name, i->digest, i->media_type,
                    i->manifest_digest, i->config_digest, (int64_t) i->size, (int) i->unpacked,
                    i->snapshot, labels, platforms, (int64_t) i->created_at,
                    (int64_t) i->updated_at);
        if (r != 0)
                return r;
        return put_blobs(db, i, blobs, e);
}

int db_image_share_blobs(Database *db, const Image *i, const char *base, Error *e) {
        return db_exec(db, e, "share an image's blobs",
                       "INSERT INTO image_blobs(namespace, name, digest)"
                       " SELECT ?1, ?2, digest FROM image_blobs WHERE namespace = ?1 AND name = ?3"
                       " ON CONFLICT DO NOTHING",
                       "sss", i->object.namespace, i->object.name, base);
}

int db_image_delete(Database *db, const char *namespace, const char *name, Error *e) {
        return db_exec(db, e, "remove an image",
                       "DELETE FROM images WHERE namespace = ?1 AND name = ?2", "ss", namespace,
                       name);
}

int db_image_set_labels(Database *db, const Image *i, json_t *labels, uint64_t updated_at,
                        Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(labels, &text);
        if (r < 0)
                return r;
        return db_exec(db, e, "record an image's labels",
                       "UPDATE images SET labels = ?3, updated_at = ?4"
                       " WHERE namespace = ?1 AND name = ?2",
                       "sssl", i->object.namespace, i->object.name, text, (int64_t) updated_at);
}

/* Bytes in all, and those of them that other images need, of a query's one row. */
static int read_bytes(Database *db, sqlite3_stmt *s, uint64_t *ret, uint64_t *shared, Error *e) {
        int r;

        r = db_step(db, s, e, "add up an image's bytes");
        if (r != 1)
                return r;
        *ret = (uint64_t) sqlite3_column_int64(s, 0);
        *shared += (uint64_t) sqlite3_column_int64(s, 1);
        return 0;
}

static int content_usage(Database *db, const Image *i, ImageUsage *u, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT sum(b.size), sum(b.size) FILTER (WHERE EXISTS (SELECT 1"
                       " FROM image_blobs o WHERE o.digest = b.digest"
                       " AND (o.namespace <> ?1 OR o.name <> ?2)))"
                       " FROM image_blobs ib JOIN blobs b ON b.digest = ib.digest"
                       " WHERE ib.namespace = ?1 AND ib.name = ?2",
                       "ss", i->object.namespace, i->object.name);
        return r != 0 ? r : read_bytes(db, s, &u->content_bytes, &u->shared_bytes, e);
}

static int layers_usage(Database *db, const Image *i, ImageUsage *u, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "WITH RECURSIVE mine(id, parent, bytes) AS ("
                       " SELECT id, parent, bytes FROM snapshots WHERE id = ?3"
                       " UNION SELECT s.id, s.parent, s.bytes FROM snapshots s"
                       " JOIN mine m ON s.id = m.parent),"
                       " others(id) AS (SELECT snapshot FROM images WHERE snapshot IS NOT NULL"
                       " AND (namespace <> ?1 OR name <> ?2)"
                       " UNION SELECT s.parent FROM snapshots s JOIN others o ON s.id = o.id"
                       " WHERE s.parent IS NOT NULL)"
                       " SELECT sum(bytes), sum(bytes) FILTER (WHERE id IN others) FROM mine",
                       "ssl", i->object.namespace, i->object.name, i->snapshot);
        return r != 0 ? r : read_bytes(db, s, &u->snapshot_bytes, &u->shared_bytes, e);
}

int db_image_usage(Database *db, const Image *i, ImageUsage *ret, Error *e) {
        ImageUsage u = {};
        int r;

        r = content_usage(db, i, &u, e);
        if (r == 0)
                r = layers_usage(db, i, &u, e);
        if (r == 0)
                *ret = u;
        return r;
}

int db_image_relatives(Database *db, const Image *i, unsigned max, json_t **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_json_ json_t *names = json_array();
        int r;

        if (!names)
                return -ENOMEM;
        r = db_prepare(db, &s, e,
                       "SELECT o.name FROM image_blobs ib"
                       " JOIN image_blobs o ON o.digest = ib.digest"
                       " JOIN blobs b ON b.digest = ib.digest"
                       " WHERE ib.namespace = ?1 AND ib.name = ?2"
                       " GROUP BY o.name ORDER BY sum(b.size) DESC, o.name LIMIT ?3",
                       "ssi", i->object.namespace, i->object.name, (int) max);
        while (r == 0 && (r = db_step(db, s, e, "look for images that share blobs")) == 1)
                r = json_array_append_new(names,
                                          json_string((const char *) sqlite3_column_text(s, 0))) < 0
                                    ? -ENOMEM
                                    : 0;
        if (r == 0)
                *ret = TAKE_PTR(names);
        return r;
}

static int image_from_row(Manager *m, sqlite3_stmt *s, Image **ret) {
        _cleanup_(image_freep) Image *i = NULL;
        char **strings[4];
        int r;

        i = calloc(1, sizeof(Image));
        if (!i)
                return -ENOMEM;
        r = object_init(&i->object, m, OBJECT_IMAGE, (const char *) sqlite3_column_text(s, 0),
                        (const char *) sqlite3_column_text(s, 1));
        if (r < 0)
                return r;
        strings[0] = &i->digest;
        strings[1] = &i->media_type;
        strings[2] = &i->manifest_digest;
        strings[3] = &i->config_digest;
        for (int n = 0; n < 4; n++) {
                r = db_column_string(s, 2 + n, strings[n]);
                if (r < 0)
                        return r;
        }
        i->size = (uint64_t) sqlite3_column_int64(s, 6);
        i->unpacked = sqlite3_column_int(s, 7);
        i->snapshot = sqlite3_column_int64(s, 8);
        i->labels = db_column_object(s, 9);
        i->created_at = (uint64_t) sqlite3_column_int64(s, 10);
        i->updated_at = (uint64_t) sqlite3_column_int64(s, 11);
        i->platforms = db_column_array(s, 12);
        if (!i->labels || !i->platforms)
                return -ENOMEM;
        *ret = TAKE_PTR(i);
        return 0;
}

int db_images_load(Database *db, Manager *m, int (*add)(Manager *m, Image *i), Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT namespace, name, digest, media_type, manifest_digest, config_digest,"
                       " size, unpacked, snapshot, labels, created_at, updated_at, platforms"
                       " FROM images",
                       "");
        while (r == 0 && (r = db_step(db, s, e, "read the images")) == 1) {
                Image *i;

                r = image_from_row(m, s, &i);
                if (r == 0)
                        r = add(m, i);
        }
        return r;
}
