/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of events, and of the steps of processes that were recorded as such. */

#include "basic/json.h"
#include "manager/db-internal.h"

int db_event_insert(Database *db, const Event *event, Error *e) {
        _cleanup_free_ char *details = NULL;
        int r;

        r = json_to_text(event->details, &details);
        if (r < 0)
                return r;
        return db_exec(db, e, "record an event",
                       "INSERT INTO events(time, topic, namespace, name, details)"
                       " VALUES(?1, ?2, ?3, ?4, ?5)",
                       "lssss", (int64_t) event->time, event_topic_to_string(event->topic),
                       event->namespace, event->name, details);
}

static int event_from_row(sqlite3_stmt *s, Event *ret) {
        *ret = (Event){
                        .sequence = (uint64_t) sqlite3_column_int64(s, 0),
                        .time = (uint64_t) sqlite3_column_int64(s, 1),
                        .topic = event_topic_from_string((const char *) sqlite3_column_text(s, 2)),
                        .namespace = (const char *) sqlite3_column_text(s, 3),
                        .name = (const char *) sqlite3_column_text(s, 4),
                        .details = db_column_object(s, 5),
                        .details_size = (size_t) sqlite3_column_bytes(s, 5),
        };
        return ret->details ? 0 : -ENOMEM;
}

#define EVENTS_OF(table)                                                                           \
        "SELECT sequence, time, topic, namespace, name, details FROM " table                       \
        " WHERE sequence > ?1 AND sequence <= ?5 AND time BETWEEN ?2 AND ?3"                       \
        " AND (?4 IS NULL OR namespace = ?4) ORDER BY sequence"
#define EVENTS_ARGUMENTS(query)                                                                    \
        "lllsl", (int64_t) MIN_OF((query)->after, (uint64_t) INT64_MAX),                           \
                        (int64_t) MIN_OF((query)->since, (uint64_t) INT64_MAX),                    \
                        (int64_t) MIN_OF((query)->until, (uint64_t) INT64_MAX),                    \
                        (query)->namespace,                                                        \
                        (query)->upto > 0 ? (int64_t) (query)->upto : INT64_MAX

/* Until f returns other than 0. */
static int rows_foreach(Database *db, sqlite3_stmt *s, int (*f)(const Event *event, void *userdata),
                        void *userdata, int *ret_f, Error *e) {
        int r;

        while ((r = db_step(db, s, e, "read the events")) == 1) {
                Event event;

                r = event_from_row(s, &event);
                if (r < 0)
                        return r;
                *ret_f = f(&event, userdata);
                json_decref(event.details);
                if (*ret_f != 0)
                        return 0;
        }
        return r;
}

int db_event_foreach(Database *db, const EventQuery *query,
                     int (*f)(const Event *event, void *userdata), void *userdata, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL, *twin = NULL;
        int r, k = 0;

        r = db_prepare(db, &s, e, EVENTS_OF("main.events"), EVENTS_ARGUMENTS(query));
        if (r == 0)
                r = rows_foreach(db, s, f, userdata, &k, e);
        /* its numbers are larger */
        if (r == 0 && k == 0 && db_is_readonly(db)) {
                r = db_prepare(db, &twin, e, EVENTS_OF("temp.events"), EVENTS_ARGUMENTS(query));
                if (r == 0)
                        r = rows_foreach(db, twin, f, userdata, &k, e);
        }
        return r != 0 ? r : MIN_OF(k, 0);
}

static int step_number(Database *db, sqlite3_stmt *s, uint64_t *ret, Error *e) {
        int r;

        r = db_step(db, s, e, "look at the events");
        if (r != 0 && r != 1)
                return r;
        *ret = r == 1 ? (uint64_t) sqlite3_column_int64(s, 0) : 0;
        return 0;
}

static int read_number(Database *db, uint64_t *ret, const char *sql, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, sql, "");
        return r != 0 ? r : step_number(db, s, ret, e);
}

#define NTH_OF(table)                                                                              \
        "SELECT max(sequence) FROM (SELECT sequence FROM " table " WHERE sequence > ?1"            \
        " ORDER BY sequence LIMIT ?2)"

int db_event_nth(Database *db, uint64_t after, unsigned n, uint64_t *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL, *twin = NULL;
        const int64_t first = (int64_t) MIN_OF(after, (uint64_t) INT64_MAX);
        int r;

        r = db_prepare(db, &s, e, NTH_OF("main.events"), "li", first, (int) n);
        if (r == 0)
                r = step_number(db, s, ret, e);
        if (r == 0 && *ret == 0 && db_is_readonly(db)) {
                r = db_prepare(db, &twin, e, NTH_OF("temp.events"), "li", first, (int) n);
                if (r == 0)
                        r = step_number(db, twin, ret, e);
        }
        return r;
}

int db_event_last(Database *db, uint64_t *ret, Error *e) {
        return read_number(db, ret, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", e);
}

int db_event_count(Database *db, uint64_t *ret, Error *e) {
        return read_number(db, ret, "SELECT count(*) FROM events", e);
}

int db_event_skip(Database *db, uint64_t n, Error *e) {
        return db_exec(db, e, "skip numbers of events",
                       "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'events'", "l",
                       (int64_t) n);
}

int db_event_prune(Database *db, uint64_t n, Error *e) {
        return db_exec(db, e, "forget old events",
                       "DELETE FROM events WHERE sequence IN"
                       " (SELECT sequence FROM events ORDER BY sequence LIMIT ?1)",
                       "l", (int64_t) n);
}

int db_steps_take(Database *db, const char *run, const StepEdge *edge, Error *e) {
        int r;

        if (edge->required == 0)
                r = db_exec(db, e, "record a step",
                            "INSERT INTO steps(run, steps) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
                            "si", run, (int) edge->set);
        else
                r = db_exec(db, e, "record a step",
                            "UPDATE steps SET steps = (steps | ?2) & ~?3 WHERE run = ?1"
                            " AND steps & ?4 = ?4 AND steps & ?5 = 0",
                            "siiii", run, (int) edge->set, (int) edge->clear, (int) edge->required,
                            (int) edge->excluded);
        return r != 0 ? r : sqlite3_changes(db->handle) > 0;
}

int db_steps_delete(Database *db, const char *run, Error *e) {
        return db_exec(db, e, "forget the steps of a process", "DELETE FROM steps WHERE run = ?1",
                       "s", run);
}

int db_steps_delete_below(Database *db, const char *run, Error *e) {
        size_t n = strlen(run);

        assert(n > 0 && run[n - 1] == '/');
        /* '0' follows '/' */
        return db_exec(db, e, "forget the steps of a task",
                       "DELETE FROM steps WHERE run > ?1 AND run < substr(?1, 1, ?2) || '0'", "si",
                       run, (int) n - 1);
}

int db_steps_list(Database *db, json_t **ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        _cleanup_json_ json_t *list = json_object();
        int r;

        if (!list)
                return -ENOMEM;
        r = db_prepare(db, &s, e, "SELECT run, steps FROM steps ORDER BY run DESC", "");
        while (r == 0 && (r = db_step(db, s, e, "list the steps of processes")) == 1)
                r = json_object_set_new(list, (const char *) sqlite3_column_text(s, 0),
                                        json_integer(sqlite3_column_int64(s, 1))) < 0
                                    ? -ENOMEM
                                    : 0;
        if (r != 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

int db_spool_taken(Database *db, const char *id, uint64_t *ret, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT taken FROM spool WHERE id = ?1", "s", id);
        if (r == 0)
                r = db_step(db, s, e, "look for the spool of events");
        if (r != 0 && r != 1)
                return r;
        *ret = r == 1 ? (uint64_t) sqlite3_column_int64(s, 0) : 0;
        return 0;
}

int db_spool_take(Database *db, const char *id, uint64_t taken, Error *e) {
        return db_exec(db, e, "record the spool of events",
                       "INSERT OR REPLACE INTO spool(one, id, taken) VALUES(1, ?1, ?2)", "sl", id,
                       (int64_t) taken);
}

int db_boot_seen(Database *db, const char *reader, const char *boot_id, Error *e) {
        _cleanup_statement_ sqlite3_stmt *s = NULL;
        int r;

        r = db_prepare(db, &s, e, "SELECT 1 FROM boots WHERE reader = ?1 AND boot_id = ?2", "ss",
                       reader, boot_id);
        return r != 0 ? r : db_step(db, s, e, "look for this boot");
}

int db_boot_changed(Database *db, const char *reader, const char *boot_id, Error *e) {
        int r;

        r = db_exec(db, e, "record this boot",
                    "INSERT INTO boots(reader, boot_id) VALUES(?1, ?2)"
                    " ON CONFLICT(reader) DO UPDATE SET boot_id = excluded.boot_id"
                    " WHERE boot_id != excluded.boot_id",
                    "ss", reader, boot_id);
        return r != 0 ? r : sqlite3_changes(db->handle) > 0;
}
