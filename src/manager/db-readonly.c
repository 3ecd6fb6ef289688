/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The database on a read-only file system. There is no log to write, and without one SQLite has to
 * be told that nobody else writes. What happens to processes goes on all the same: the tables of
 * events, steps and boots get twins in memory, which hide the ones of the file from every statement
 * that does not name it, and go on with its numbers.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "manager/db-internal.h"

static const char twins_sql[] =
                "CREATE TEMP TABLE steps (run TEXT PRIMARY KEY, steps INTEGER NOT NULL)"
                " WITHOUT ROWID;"
                "INSERT INTO temp.steps SELECT run, steps FROM main.steps;"
                "CREATE TEMP TABLE boots (reader TEXT PRIMARY KEY, boot_id TEXT NOT NULL)"
                " WITHOUT ROWID;"
                "INSERT INTO temp.boots SELECT reader, boot_id FROM main.boots;"
                "CREATE TEMP TABLE spool (one INTEGER PRIMARY KEY, id TEXT NOT NULL,"
                " taken INTEGER NOT NULL);"
                "INSERT INTO temp.spool SELECT one, id, taken FROM main.spool;"
                "CREATE TEMP TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
                " time INTEGER NOT NULL, topic TEXT NOT NULL, namespace TEXT NOT NULL,"
                " name TEXT NOT NULL, details TEXT NOT NULL);"
                "INSERT INTO temp.sqlite_sequence(name, seq)"
                " SELECT name, seq FROM main.sqlite_sequence WHERE name = 'events';";

static bool directory_is_readonly(const char *dir) {
        return faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) < 0 && errno == EROFS;
}

/* What has a meaning in a URI is escaped. */
static int path_to_uri(const char *path, const char *parameters, char **ret) {
        _cleanup_free_ char *uri = NULL;
        char *p;

        uri = malloc(STRLEN("file:") + 3 * strlen(path) + strlen(parameters) + 1);
        if (!uri)
                return -ENOMEM;
        for (p = stpcpy(uri, "file:"); *path; path++)
                if (strchr("%?#", *path))
                        p += sprintf(p, "%%%02X", (unsigned char) *path);
                else
                        *p++ = *path;
        (void) stpcpy(p, parameters);
        *ret = TAKE_PTR(uri);
        return 0;
}

/* A manager that was killed has left a log, which has to be read. */
static int log_is_there(const char *path, Error *e) {
        _cleanup_free_ char *log = NULL;
        struct stat st;

        if (asprintf(&log, "%s-wal", path) < 0)
                return -ENOMEM;
        if (stat(log, &st) < 0)
                return errno == ENOENT ? 0 : error_setf(e, -errno, "Failed to look at %s: %m", log);
        return st.st_size > 0;
}

static int connect_readonly(const char *path, Database **ret, Error *e) {
        _cleanup_free_ char *uri = NULL;
        int r;

        r = log_is_there(path, e);
        if (r < 0)
                return r;
        r = path_to_uri(path, r > 0 ? "" : "?immutable=1", &uri);
        if (r == 0)
                r = db_connect(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, ret, e);
        if (r == 0)
                (*ret)->readonly = true;
        return r;
}

int db_connect_in(const char *dir, int flags, Database **ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/ctr.db", dir) < 0)
                return -ENOMEM;
        if (directory_is_readonly(dir))
                r = connect_readonly(path, ret, e);
        else
                r = db_connect(path, flags, ret, e);
        return r != 0 ? error_prefix(e, r, "%s", path) : 0;
}

int db_make_twins(Database *db, Error *e) {
        return db_run(db, twins_sql, "make tables in memory", e);
}

bool db_is_readonly(const Database *db) {
        return db->readonly;
}
