/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of images and of the blobs that each needs. */

#include "basic/json.h"
#include "manager/db-internal.h"
#include "manager/manager.h"

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
                const char *digest = json_string_value(json_object_get(blob, "digest"));
                const char *media_type = json_string_value(json_object_get(blob, "media_type"));
                json_int_t size = json_integer_value(json_object_get(blob, "size"));

                if (!digest || size < 0)
                        return error_setf(e, -EBADMSG, "A blob without a digest");
                r = db_blob_put(db, digest, media_type, (uint64_t) size, e);
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
        _cleanup_free_ char *labels = NULL;
        int r;

        r = json_to_text(i->labels, &labels);
        if (r < 0)
                return r;
        r = db_namespace_ensure(db, i->object.namespace, e);
        if (r != 0)
                return r;
        r = db_exec(db, e, "record an image",
                    "INSERT INTO images(namespace, name, digest, media_type, manifest_digest,"
                    " config_digest, size, unpacked, snapshot, labels, created_at, updated_at)"
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0), ?10, ?11, ?12)"
                    " ON CONFLICT(namespace, name) DO UPDATE SET digest = excluded.digest,"
                    " media_type = excluded.media_type,"
                    " manifest_digest = excluded.manifest_digest,"
                    " config_digest = excluded.config_digest, size = excluded.size,"
                    " unpacked = excluded.unpacked, snapshot = excluded.snapshot,"
                    " labels = excluded.labels, updated_at = excluded.updated_at",
                    "sssssslilsll", i->object.namespace, i->object.name, i->digest, i->media_type,
                    i->manifest_digest, i->config_digest, (int64_t) i->size, (int) i->unpacked,
                    i->snapshot, labels, (int64_t) i->created_at, (int64_t) i->updated_at);
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
        if (!i->labels)
                return -ENOMEM;
        *ret = TAKE_PTR(i);
        return 0;
}

int db_images_load(Database *db, Manager *m, int (*add)(Manager *m, Image *i), Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT namespace, name, digest, media_type, manifest_digest, config_digest,"
                       " size, unpacked, snapshot, labels, created_at, updated_at FROM images",
                       "");
        while (r == 0 && (r = db_step(db, s, e, "read the images")) == 1) {
                Image *i;

                r = image_from_row(m, s, &i);
                if (r == 0)
                        r = add(m, i);
        }
        return r;
}
