/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/db.h"

#include <stdarg.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db-gc.h"
#include "manager/db-internal.h"

#define BUSY_MSEC 5000

int db_error(Database *db, Error *e, const char *what) {
        int extended = sqlite3_extended_errcode(db->handle), system, r;

        switch (extended & 0xff) {
        case SQLITE_CONSTRAINT:
                r = extended == SQLITE_CONSTRAINT_FOREIGNKEY ? CTR_FAILED_PRECONDITION
                                                             : CTR_ALREADY_EXISTS;
                break;
        case SQLITE_NOMEM:
                r = -ENOMEM;
                break;
        case SQLITE_FULL:
                r = -ENOSPC;
                break;
        case SQLITE_READONLY:
                return error_setf(e, -EROFS, "Failed to %s in the database: %m", what);
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
                system = sqlite3_system_errno(db->handle);
                r = system == ENOSPC || system == EDQUOT || system == EROFS ? -system : -EIO;
                break;
        default:
                r = -EIO;
        }
        return error_setf(e, r, "Failed to %s in the database: %s", what,
                          sqlite3_errmsg(db->handle));
}

static int statement_get(Database *db, const char *sql, sqlite3_stmt **ret, Error *e) {
        sqlite3_stmt *s;

        for (size_t i = 0; i < db->n_statements; i++)
                if (db->statements[i].sql == sql) {
                        *ret = db->statements[i].statement;
                        return 0;
                }
        assert(db->n_statements < DB_STATEMENTS_MAX);
        if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) !=
            SQLITE_OK)
                return db_error(db, e, "prepare a statement");
        db->statements[db->n_statements].sql = sql;
        db->statements[db->n_statements++].statement = s;
        *ret = s;
        return 0;
}

static int prepare_va(Database *db, sqlite3_stmt **ret, Error *e, const char *sql,
                      const char *types, va_list ap) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = statement_get(db, sql, &s, e);
        if (r != 0)
                return r;
        for (int i = 0; types[i]; i++) {
                const char *text;

                switch (types[i]) {
                case 's':
                        text = va_arg(ap, const char *);
                        r = text ? sqlite3_bind_text(s, i + 1, text, -1, SQLITE_TRANSIENT)
                                 : sqlite3_bind_null(s, i + 1);
                        break;
                case 'i':
                        r = sqlite3_bind_int(s, i + 1, va_arg(ap, int));
                        break;
                case 'l':
                        r = sqlite3_bind_int64(s, i + 1, va_arg(ap, int64_t));
                        break;
                default:
                        assert(false);
                }
                if (r != SQLITE_OK)
                        return db_error(db, e, "bind a value");
        }
        *ret = TAKE_PTR(s);
        return 0;
}

int db_prepare(Database *db, sqlite3_stmt **ret, Error *e, const char *sql, const char *types,
               ...) {
        va_list ap;
        int r;

        va_start(ap, types);
        r = prepare_va(db, ret, e, sql, types, ap);
        va_end(ap);
        return r;
}

int db_step(Database *db, sqlite3_stmt *s, Error *e, const char *what) {
        switch (sqlite3_step(s)) {
        case SQLITE_ROW:
                return 1;
        case SQLITE_DONE:
                return 0;
        default:
                return db_error(db, e, what); /* never 1 */
        }
}

int db_exec(Database *db, Error *e, const char *what, const char *sql, const char *types, ...) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        va_list ap;
        int r;

        va_start(ap, types);
        r = prepare_va(db, &s, e, sql, types, ap);
        va_end(ap);
        if (r != 0)
                return r;
        return db_step(db, s, e, what);
}

int db_column_string(sqlite3_stmt *s, int i, char **ret) {
        const char *text = (const char *) sqlite3_column_text(s, i);
        char *copy;

        if (!text) {
                *ret = NULL;
                return 0;
        }
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/* Column i as JSON of the type that empty has, which is used if it is not of that. */
static json_t *column_json(sqlite3_stmt *s, int i, json_t *empty) {
        const char *text = (const char *) sqlite3_column_text(s, i);
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *j = NULL;

        if (text && json_parse(text, strlen(text), "a database column", &j, &e) != 0)
                log_warning("%s", error_text(&e));
        if (j && empty && json_typeof(j) == json_typeof(empty)) {
                json_decref(empty);
                return j;
        }
        json_decref(j);
        return empty;
}

json_t *db_column_object(sqlite3_stmt *s, int i) {
        return column_json(s, i, json_object());
}

json_t *db_column_array(sqlite3_stmt *s, int i) {
        return column_json(s, i, json_array());
}

int db_run(Database *db, const char *sql, const char *what, Error *e) {
        if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
                return db_error(db, e, what);
        return 0;
}

int db_begin(Database *db, Error *e) {
        return db_exec(db, e, "begin a transaction", "BEGIN IMMEDIATE", "");
}

/* A pragma takes effect when it is prepared: none of these can be kept as a statement. */
int db_begin_unsynced(Database *db, Error *e) {
        int r;

        r = db_run(db, "PRAGMA synchronous = NORMAL", "put off a sync", e);
        if (r != 0)
                return r;
        db->unsynced = true;
        r = db_begin(db, e);
        if (r != 0)
                db_rollback(db);
        return r;
}

static int end_unsynced(Database *db, Error *e) {
        if (!db->unsynced)
                return 0;
        db->unsynced = false;
        return db_run(db, "PRAGMA synchronous = FULL", "sync again", e);
}

int db_commit(Database *db, Error *e) {
        int r;

        r = db_exec(db, e, "commit", "COMMIT", "");
        return r != 0 ? r : end_unsynced(db, e);
}

void db_rollback(Database *db) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r = 0;

        if (!sqlite3_get_autocommit(db->handle))
                r = db_exec(db, &e, "roll back", "ROLLBACK", "");
        if (r == 0)
                r = end_unsynced(db, &e);
        if (r != 0)
                log_error("%s", error_text(&e));
}

/* The tables refer to each other as they should; each row of the answer is one that does not. */
static int check_foreign_keys(Database *db, Error *e) {
        sqlite3_stmt *s = NULL;
        int r;

        if (sqlite3_prepare_v2(db->handle, "PRAGMA foreign_key_check", -1, &s, NULL) != SQLITE_OK)
                return db_error(db, e, "check the tables");
        r = db_step(db, s, e, "check the tables");
        sqlite3_finalize(s);
        return r == 1 ? error_setf(e, -EBADMSG,
                                   "The database refers to rows that it has not, and cannot be "
                                   "brought to this version")
                      : r;
}

static int db_migrate(Database *db, Error *e) {
        sqlite3_stmt *s = NULL;
        int version, r;

        if (sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK ||
            sqlite3_step(s) != SQLITE_ROW) {
                r = db_error(db, e, "read the schema's version");
                sqlite3_finalize(s);
                return r;
        }
        version = sqlite3_column_int(s, 0);
        sqlite3_finalize(s);

        if (version > DB_SCHEMA_VERSION)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The database has schema version %i, this program knows %i at "
                                  "most: it was written by a newer version",
                                  version, DB_SCHEMA_VERSION);
        if (version == DB_SCHEMA_VERSION)
                return 0;
        if (db->readonly)
                return error_setf(e, -EROFS,
                                  "The database has schema version %i and cannot be brought to %i: "
                                  "%m",
                                  version, DB_SCHEMA_VERSION);
        /* as a table that others refer to cannot be replaced otherwise; it has no effect inside of
         * the transaction */
        r = db_run(db, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE", "begin the migration", e);
        if (r != 0)
                return r;
        for (; version < DB_SCHEMA_VERSION; version++) {
                r = db_run(db, db_schema[version], "make the tables", e);
                if (r != 0)
                        return r;
        }
        r = check_foreign_keys(db, e);
        if (r != 0)
                return r;
        return db_run(db, "COMMIT; PRAGMA foreign_keys = ON", "commit the migration", e);
}

/* The time of events that triggers record. */
static void sql_now(sqlite3_context *context, int n, sqlite3_value **values) {
        sqlite3_result_int64(context, (int64_t) now_realtime());
}

static void on_update(void *userdata, int operation, const char *database, const char *table,
                      sqlite3_int64 row) {
        Database *db = userdata;

        if (operation == SQLITE_INSERT && db->on_event && streq(table, "events"))
                db->on_event(db->on_event_userdata);
}

/* Not for events of processes, which leave no garbage: those commits are not synced. */
static int on_commit(void *userdata) {
        Database *db = userdata;

        if (!db->unsynced && db->on_mutation)
                db->on_mutation(db->on_mutation_userdata);
        return 0;
}

void db_set_on_mutation(Database *db, void (*f)(void *userdata), void *userdata) {
        db->on_mutation = f;
        db->on_mutation_userdata = userdata;
}

void db_set_on_event(Database *db, void (*f)(void *userdata), void *userdata) {
        db->on_event = f;
        db->on_event_userdata = userdata;
}

int db_connect(const char *path, int flags, Database **ret, Error *e) {
        _cleanup_(db_closep) Database *db = NULL;

        db = calloc(1, sizeof(Database));
        if (!db)
                return -ENOMEM;
        if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
                return db->handle ? db_error(db, e, "open it") : -ENOMEM;
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, BUSY_MSEC);
        *ret = TAKE_PTR(db);
        return 0;
}

static int connection_set_up(Database *db, Error *e) {
        int r = 0;

        if (!db->readonly)
                r = db_run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 256",
                           "set it up", e);
        /* the lookaside and page caches of the defaults alone would be 2 MiB */
        if (r == 0)
                r = db_run(db,
                           "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                           "PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;",
                           "set it up", e);
        if (r != 0)
                return r;
        if (sqlite3_create_function(db->handle, "now_usec", 0, SQLITE_UTF8, NULL, sql_now, NULL,
                                    NULL) != SQLITE_OK)
                return db_error(db, e, "set it up");
        sqlite3_update_hook(db->handle, on_update, db);
        sqlite3_commit_hook(db->handle, on_commit, db);
        r = db_migrate(db, e);
        if (r == 0 && db->readonly)
                r = db_make_twins(db, e);
        return r != 0 ? r : db_gc_prepare(db, e);
}

int db_open(const char *dir, Database **ret, Error *e) {
        _cleanup_(db_closep) Database *db = NULL;
        int r;

        assert(dir && ret);

        r = db_connect_in(dir, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, e);
        if (r != 0)
                return r;
        r = connection_set_up(db, e);
        if (r != 0)
                return error_prefix(e, r, "%s/ctr.db", dir);
        *ret = TAKE_PTR(db);
        return 0;
}

int db_open_reader(const char *dir, Database **ret, Error *e) {
        _cleanup_(db_closep) Database *db = NULL;
        int r;

        assert(dir && ret);

        r = db_connect_in(dir, SQLITE_OPEN_READONLY, &db, e);
        if (r != 0)
                return r;
        r = db_run(db,
                   "PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456;"
                   "PRAGMA temp_store = MEMORY",
                   "set it up", e);
        if (r != 0)
                return error_prefix(e, r, "%s/ctr.db", dir);
        *ret = TAKE_PTR(db);
        return 0;
}

void db_interrupt(Database *reader) {
        sqlite3_interrupt(reader->handle);
}

Database *db_close(Database *db) {
        if (!db)
                return NULL;
        for (size_t i = 0; i < db->n_statements; i++)
                sqlite3_finalize(db->statements[i].statement);
        sqlite3_close(db->handle);
        free(db);
        return NULL;
}
