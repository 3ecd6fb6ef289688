/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only place besides db*.c that knows SQLite. Statements are prepared once per SQL literal and
 * kept; a Statement is bound, stepped, and reset when it leaves its scope. */

#include <sqlite3.h>

#include "manager/db.h"

#define DB_STATEMENTS_MAX 192

struct Database {
        sqlite3 *handle;
        struct {
                const char *sql; /* the literal's address is the key */
                sqlite3_stmt *statement;
        } statements[DB_STATEMENTS_MAX];
        size_t n_statements;
        void (*on_event)(void *userdata);
        void *on_event_userdata;
        void (*on_mutation)(void *userdata);
        void *on_mutation_userdata;
        bool unsynced; /* this transaction's commit does not wait for the disk */
        bool readonly;
};

/* db-schema.c: the steps from an empty database to today's, one version each. */
#define DB_SCHEMA_VERSION 4
extern const char *const db_schema[DB_SCHEMA_VERSION];

static inline void statement_resetp(sqlite3_stmt **s) {
        if (!*s)
                return;
        sqlite3_reset(*s);
        sqlite3_clear_bindings(*s);
}
#define _cleanup_statement_ _cleanup_(statement_resetp)

/* sqlite3_open_v2() with what every connection has. */
int db_connect(const char *path, int flags, Database **ret, Error *e);

/* db-readonly.c */
/* Connects to the database in dir, by these flags unless the file system is read-only. */
int db_connect_in(const char *dir, int flags, Database **ret, Error *e);
/* Tables in memory for what is written all the same. */
int db_make_twins(Database *db, Error *e);

/* A negative errno (or CTR_ALREADY_EXISTS for a taken key, CTR_FAILED_PRECONDITION for a foreign
 * key) and the sentence for what SQLite last said. */
int db_error(Database *db, Error *e, const char *what);

/* Binds values to a statement: types is one letter each, s string or NULL, i int, l int64_t.
 * sql must be a literal. */
int db_prepare(Database *db, sqlite3_stmt **ret, Error *e, const char *sql, const char *types, ...);

/* 1: a row is there, 0: no (more) row, negative or positive: error. what completes "Failed to". */
int db_step(Database *db, sqlite3_stmt *s, Error *e, const char *what);

/* Prepares, steps once, expects no row. */
int db_exec(Database *db, Error *e, const char *what, const char *sql, const char *types, ...);

/* Runs statements that give no rows and that nobody needs again. */
int db_run(Database *db, const char *sql, const char *what, Error *e);

/* Column i as a new string; NULL stays NULL. 0 or -ENOMEM. */
int db_column_string(sqlite3_stmt *s, int i, char **ret);

/* Column i parsed as a JSON object; NULL or damage gives an empty one (and a log line). */
json_t *db_column_object(sqlite3_stmt *s, int i);
/* The same for an array. */
json_t *db_column_array(sqlite3_stmt *s, int i);
