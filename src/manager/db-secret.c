/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of secrets, and of which container names which. Their bytes are not here. */

#include "basic/clock.h"
#include "basic/json.h"
#include "manager/db-internal.h"
#include "manager/secret.h"

int db_secret_insert(Database *db, const char *namespace, const char *name, json_t *labels,
                     int64_t *ret_id, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = labels ? json_to_text(labels, &text) : (text = strdup("{}")) ? 0 : -ENOMEM;
        if (r == 0)
                r = db_namespace_ensure(db, namespace, e);
        if (r != 0)
                return r;
        r = db_exec(db, &local, "record a secret",
                    "INSERT INTO secrets(namespace, name, labels, created_at)"
                    " VALUES(?1, ?2, ?3, ?4)",
                    "sssl", namespace, name, text, (int64_t) now_realtime());
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The secret \"%s\" exists already", name);
        if (r != 0)
                return error_propagate(e, r, &local);
        *ret_id = sqlite3_last_insert_rowid(db->handle);
        return 0;
}

#define SECRET_COLUMNS "SELECT id, namespace, name, labels, created_at FROM secrets "

static int read_secret(sqlite3_stmt *s, Secret **ret) {
        _cleanup_(secret_freep) Secret *secret = calloc(1, sizeof(Secret));

        if (!secret)
                return -ENOMEM;
        secret->id = sqlite3_column_int64(s, 0);
        secret->labels = db_column_object(s, 3);
        secret->created_at = (uint64_t) sqlite3_column_int64(s, 4);
        if (db_column_string(s, 1, &secret->namespace) < 0 ||
            db_column_string(s, 2, &secret->name) < 0 || !secret->labels)
                return -ENOMEM;
        *ret = TAKE_PTR(secret);
        return 0;
}

int db_secret_find(Database *db, const char *namespace, const char *name, Secret **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, SECRET_COLUMNS "WHERE namespace = ?1 AND name = ?2", "ss",
                       namespace, name);
        if (r == 0)
                r = db_step(db, s, e, "look a secret up");
        if (r != 1)
                return r;
        r = read_secret(s, ret);
        return r < 0 ? r : 1;
}

int db_secret_exists(Database *db, int64_t id, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT 1 FROM secrets WHERE id = ?1", "l", id);
        return r != 0 ? r : db_step(db, s, e, "look a secret up");
}

int db_secrets_foreach(Database *db, const char *namespace,
                       int (*f)(const Secret *s, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       SECRET_COLUMNS "WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, name",
                       "s", namespace);
        while (r == 0 && (r = db_step(db, s, e, "list the secrets")) == 1) {
                _cleanup_(secret_freep) Secret *secret = NULL;

                r = read_secret(s, &secret);
                if (r == 0)
                        r = f(secret, userdata);
        }
        return r;
}

int db_secret_users(Database *db, int64_t id, json_t **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_json_ json_t *users = json_array();
        int r;

        r = !users ? -ENOMEM
                   : db_prepare(db, &s, e,
                                "SELECT container FROM container_secrets WHERE secret = ?1"
                                " ORDER BY container",
                                "l", id);
        while (r == 0 && (r = db_step(db, s, e, "read who names a secret")) == 1)
                r = json_array_append_new(users,
                                          json_string((const char *) sqlite3_column_text(s, 0))) < 0
                                    ? -ENOMEM
                                    : 0;
        if (r == 0)
                *ret = TAKE_PTR(users);
        return r;
}

int db_secret_delete(Database *db, int64_t id, Error *e) {
        return db_exec(db, e, "remove a secret", "DELETE FROM secrets WHERE id = ?1", "l", id);
}

int db_container_secret_insert(Database *db, const Container *c, int64_t secret, Error *e) {
        return db_exec(db, e, "record which secrets a container has",
                       "INSERT INTO container_secrets(namespace, container, secret)"
                       " VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING",
                       "ssl", c->object.namespace, c->object.name, secret);
}
