/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of containers. */

#include "basic/json.h"
#include "basic/log.h"
#include "manager/db-internal.h"
#include "manager/manager.h"
#include "manager/restart.h"

int db_container_insert(Database *db, const Container *c, const char *spec, Error *e) {
        _cleanup_free_ char *labels = NULL, *resources = NULL, *user_namespace = NULL;
        _cleanup_json_ json_t *ids = user_namespace_to_json(&c->user_namespace);
        int r;

        if (!ids)
                return -ENOMEM;
        r = json_to_text(c->labels, &labels);
        if (r >= 0)
                r = json_to_text(c->resources, &resources);
        if (r >= 0)
                r = json_to_text(ids, &user_namespace);
        if (r < 0)
                return r;
        r = db_namespace_ensure(db, c->object.namespace, e);
        if (r != 0)
                return r;
        return db_exec(db, e, "record a container",
                       "INSERT INTO containers(namespace, id, image, runtime, snapshotter,"
                       " snapshot_key, snapshot, labels, resources, stop_signal, stop_timeout,"
                       " terminal, auto_remove, volatile, spec, created_at, updated_at,"
                       " user_namespace)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
                       " ?16, ?17, ?18)",
                       "sssssslssiliiislls", c->object.namespace, c->object.name, c->image,
                       c->runtime, c->snapshotter, c->snapshot_key, c->snapshot, labels, resources,
                       c->stop_signal, (int64_t) c->stop_timeout, (int) c->terminal,
                       (int) c->auto_remove, (int) c->volatile_root, spec, (int64_t) c->created_at,
                       (int64_t) c->updated_at, user_namespace);
}

int db_container_set_labels(Database *db, const Container *c, json_t *labels, uint64_t updated_at,
                            Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(labels, &text);
        if (r < 0)
                return r;
        return db_exec(db, e, "change a container's labels",
                       "UPDATE containers SET labels = ?3, updated_at = ?4"
                       " WHERE namespace = ?1 AND id = ?2",
                       "sssl", c->object.namespace, c->object.name, text, (int64_t) updated_at);
}

int db_container_set_resources(Database *db, const Container *c, json_t *resources,
                               const char *spec, uint64_t updated_at, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(resources, &text);
        if (r < 0)
                return r;
        return db_exec(db, e, "change a container's limits",
                       "UPDATE containers SET resources = ?3, spec = ?4, updated_at = ?5"
                       " WHERE namespace = ?1 AND id = ?2",
                       "ssssl", c->object.namespace, c->object.name, text, spec,
                       (int64_t) updated_at);
}

int db_container_set_restart(Database *db, const Container *c, const char *state, Error *e) {
        return db_exec(db, e, "note a container's restart",
                       "UPDATE containers SET restart = ?3 WHERE namespace = ?1 AND id = ?2", "sss",
                       c->object.namespace, c->object.name, state);
}

int db_container_set_snapshot(Database *db, const Container *c, int64_t snapshot, const char *key,
                              uint64_t updated_at, Error *e) {
        return db_exec(db, e, "change a container's root",
                       "UPDATE containers SET snapshot = nullif(?3, 0), snapshot_key = ?4,"
                       " last_version = ?5, updated_at = ?6 WHERE namespace = ?1 AND id = ?2",
                       "sslsll", c->object.namespace, c->object.name, snapshot, key,
                       (int64_t) c->last_version, (int64_t) updated_at);
}

int db_container_set_operation(Database *db, const Container *c, const char *operation, Error *e) {
        return db_exec(db, e, "note what is done with a container",
                       "UPDATE containers SET operation = ?3 WHERE namespace = ?1 AND id = ?2",
                       "sss", c->object.namespace, c->object.name, operation);
}

int db_container_delete(Database *db, const Container *c, Error *e) {
        return db_exec(db, e, "remove a container",
                       "DELETE FROM containers WHERE namespace = ?1 AND id = ?2", "ss",
                       c->object.namespace, c->object.name);
}

int db_container_read_spec(Database *db, const Container *c, char **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT spec FROM containers WHERE namespace = ?1 AND id = ?2",
                       "ss", c->object.namespace, c->object.name);
        if (r != 0)
                return r;
        r = db_step(db, s, e, "read a container's document");
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The container \"%s\" has no record",
                                  c->object.name);
        if (r != 1)
                return r;
        return db_column_string(s, 0, ret);
}

static int user_namespace_of_document(Database *db, const Container *c, UserNamespace *ret,
                                      Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *spec = NULL;
        int r;

        r = db_container_read_spec(db, c, &text, e);
        if (r == 0)
                r = json_parse(strempty(text), strlen(strempty(text)), "config.json", &spec, e);
        return r == 0 ? user_namespace_from_spec(spec, ret, e) : r;
}

/* A damaged one is reported, and what the document says is taken: its ids are not to be given to
 * another container. */
static int read_user_namespace(Database *db, Container *c, sqlite3_stmt *s, int column) {
        const char *text = strempty((const char *) sqlite3_column_text(s, column));
        _cleanup_error_ Error e = ERROR_NULL, document_error = ERROR_NULL;
        _cleanup_json_ json_t *o = NULL;
        int r;

        r = json_parse(text, strlen(text), "the column", &o, &e);
        if (r == 0)
                r = user_namespace_from_json(o, &c->user_namespace, &e);
        if (r == 0 || r == -ENOMEM)
                return r;
        log_error("The record of the user namespace of the container \"%s\" is damaged: %s",
                  c->object.name, error_text(&e));
        r = user_namespace_of_document(db, c, &c->user_namespace, &document_error);
        if (r == 0 || r == -ENOMEM)
                return r;
        log_error("So is the document of the container \"%s\": %s", c->object.name,
                  error_text_of(r, &document_error));
        c->user_namespace.mode = USER_NAMESPACE_MAPPED;
        return 0;
}

static int container_from_row(Database *db, Manager *m, sqlite3_stmt *s, Container **ret) {
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_json_ json_t *restart = NULL;
        char **strings[4];
        int r;

        c = calloc(1, sizeof(Container));
        if (!c)
                return -ENOMEM;
        r = object_init(&c->object, m, OBJECT_CONTAINER, (const char *) sqlite3_column_text(s, 0),
                        (const char *) sqlite3_column_text(s, 1));
        if (r < 0)
                return r;
        strings[0] = &c->image;
        strings[1] = &c->runtime;
        strings[2] = &c->snapshotter;
        strings[3] = &c->snapshot_key;
        for (int n = 0; n < 4; n++) {
                r = db_column_string(s, 2 + n, strings[n]);
                if (r < 0)
                        return r;
        }
        c->snapshot = sqlite3_column_int64(s, 6);
        c->labels = db_column_object(s, 7);
        c->resources = db_column_object(s, 8);
        c->stop_signal = sqlite3_column_int(s, 9);
        c->stop_timeout = (uint64_t) sqlite3_column_int64(s, 10);
        c->terminal = sqlite3_column_int(s, 11);
        c->created_at = (uint64_t) sqlite3_column_int64(s, 12);
        c->updated_at = (uint64_t) sqlite3_column_int64(s, 13);
        c->auto_remove = sqlite3_column_int(s, 14);
        c->volatile_root = sqlite3_column_int(s, 15);
        restart = db_column_object(s, 16);
        c->last_version = (uint32_t) sqlite3_column_int64(s, 17);
        r = db_column_string(s, 18, &c->operation);
        if (r == 0)
                r = read_user_namespace(db, c, s, 19);
        if (r < 0)
                return r;
        if (!c->labels || !c->resources || !restart)
                return -ENOMEM;
        r = restart_load(c, restart);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int db_containers_load(Database *db, Manager *m, int (*add)(Manager *m, Container *c), Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e,
                       "SELECT namespace, id, image, runtime, snapshotter, snapshot_key, snapshot,"
                       " labels, resources, stop_signal, stop_timeout, terminal, created_at,"
                       " updated_at, auto_remove, volatile, restart, last_version, operation,"
                       " user_namespace"
                       " FROM containers",
                       "");
        while (r == 0 && (r = db_step(db, s, e, "read the containers")) == 1) {
                Container *c;

                r = container_from_row(db, m, s, &c);
                if (r == 0)
                        r = add(m, c);
        }
        return r;
}
