/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of namespaces and blobs. */

#include "basic/json.h"
#include "manager/db-internal.h"

int db_namespace_ensure(Database *db, const char *name, Error *e) {
        return db_exec(db, e, "make the namespace",
                       "INSERT INTO namespaces(name) VALUES(?1) ON CONFLICT DO NOTHING", "s", name);
}

int db_namespace_create(Database *db, const char *name, const char *labels, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        r = db_exec(db, &local, "make the namespace",
                    "INSERT INTO namespaces(name, labels) VALUES(?1, ?2)", "ss", name, labels);
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The namespace \"%s\" exists already", name);
        if (r != 0)
                return error_propagate(e, r, &local);
        return 0;
}

/* 1 if the query, which takes the namespace, finds a row. */
static int namespace_has(Database *db, const char *name, const char *sql, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, sql, "s", name);
        if (r != 0)
                return r;
        return db_step(db, s, e, "look into the namespace");
}

static int namespace_expect(Database *db, const char *name, Error *e) {
        int r;

        r = namespace_has(db, name, "SELECT 1 FROM namespaces WHERE name = ?1", e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "There is no namespace \"%s\"", name);
        return r == 1 ? 0 : r;
}

int db_namespace_set_labels(Database *db, const char *name, const char *labels, Error *e) {
        int r;

        r = namespace_expect(db, name, e);
        if (r != 0)
                return r;
        return db_exec(db, e, "change the namespace",
                       "UPDATE namespaces SET labels = ?2 WHERE name = ?1", "ss", name, labels);
}

int db_namespace_delete(Database *db, const char *name, Error *e) {
        static const struct {
                const char *kind, *sql;
        } kinds[] = {
                        {"images", "SELECT 1 FROM images WHERE namespace = ?1 LIMIT 1"},
                        {"containers", "SELECT 1 FROM containers WHERE namespace = ?1 LIMIT 1"},
                        {"snapshots", "SELECT 1 FROM snapshots WHERE namespace = ?1 LIMIT 1"},
                        {"secrets", "SELECT 1 FROM secrets WHERE namespace = ?1 LIMIT 1"},
        };
        char left[64] = "";
        int r;

        r = namespace_expect(db, name, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                r = namespace_has(db, name, kinds[i].sql, e);
                if (r != 0 && r != 1)
                        return r;
                if (r == 1) {
                        size_t n = strlen(left);

                        (void) snprintf(left + n, sizeof(left) - n, "%s%s", n > 0 ? ", " : "",
                                        kinds[i].kind);
                }
        }
        if (*left)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The namespace \"%s\" is not empty: it still has %s", name, left);
        return db_exec(db, e, "remove the namespace", "DELETE FROM namespaces WHERE name = ?1", "s",
                       name);
}

int db_namespace_list(Database *db, json_t **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        json_t *list;
        int r;

        list = json_object();
        if (!list)
                return -ENOMEM;
        r = db_prepare(db, &s, e, "SELECT name, labels FROM namespaces ORDER BY name", "");
        while (r == 0 && (r = db_step(db, s, e, "list the namespaces")) == 1)
                r = json_object_set_new(list, (const char *) sqlite3_column_text(s, 0),
                                        db_column_object(s, 1)) < 0
                                    ? -ENOMEM
                                    : 0;
        if (r != 0) {
                json_decref(list);
                return r;
        }
        *ret = list;
        return 0;
}

int db_blob_put(Database *db, const char *digest, const char *media_type, uint64_t size, Error *e) {
        return db_exec(db, e, "record a blob",
                       "INSERT INTO blobs(digest, media_type, size) VALUES(?1, ?2, ?3)"
                       " ON CONFLICT DO UPDATE SET damaged_at = 0 WHERE damaged_at <> 0",
                       "ssl", digest, media_type, (int64_t) size);
}

int db_blobs_foreach(Database *db, int (*f)(const char *digest, uint64_t size, void *userdata),
                     void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT digest, size FROM blobs", "");
        while (r == 0 && (r = db_step(db, s, e, "list the blobs")) == 1)
                r = f((const char *) sqlite3_column_text(s, 0),
                      (uint64_t) sqlite3_column_int64(s, 1), userdata);
        return r;
}

int db_blob_find(Database *db, const char *digest, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT 1 FROM blobs WHERE digest = ?1", "s", digest);
        return r != 0 ? r : db_step(db, s, e, "look a blob up");
}

int db_namespace_label(Database *db, const char *name, const char *label, char **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_json_ json_t *labels = NULL;
        const char *value;
        int r;

        r = db_prepare(db, &s, e, "SELECT labels FROM namespaces WHERE name = ?1", "s", name);
        if (r == 0)
                r = db_step(db, s, e, "read a namespace's labels");
        if (r != 1)
                return r;
        labels = db_column_object(s, 0);
        value = json_string_value(json_object_get(labels, label));
        if (isempty(value))
                return 0;
        *ret = strdup(value);
        return *ret ? 1 : -ENOMEM;
}
