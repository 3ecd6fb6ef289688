/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events (A4.1, A4.2, D9, D11, D12): what is published, in which order, and exactly once, whatever
 * becomes of the manager; and the history. */

#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "manager/db-internal.h"
#include "manager/event-internal.h"
#include "manager/event.h"
#include "manager/exec.h"
#include "manager/process-internal.h"

#define LOG_SIZE 8192

/* "topic name;" of each, and whether the numbers grew. */
typedef struct Log {
        char text[LOG_SIZE];
        uint64_t last;
        size_t n;
} Log;

static void log_add(Log *log, const Event *event) {
        size_t n = strlen(log->text);

        assert_true(event->sequence > log->last);
        assert_true(event->time > 0);
        log->last = event->sequence;
        log->n++;
        (void) snprintf(log->text + n, sizeof(log->text) - n, "%s %s;",
                        event_topic_to_string(event->topic), event->name);
}

static int add_to_log(const Event *event, void *userdata) {
        log_add(userdata, event);
        return 0;
}

static void on_event(const Event *event, void *userdata) {
        log_add(userdata, event);
}

static const ManagerObserver observer = {.event = on_event};

/* The history after a number, of one container if name is not NULL. */
static void read_log(Harness *h, uint64_t after, Log *ret) {
        _cleanup_error_ Error e = ERROR_NULL;

        *ret = (Log){};
        assert_int_equal(event_foreach(h->manager,
                                       &(EventQuery){.after = after, .until = UINT64_MAX},
                                       add_to_log, ret, &e),
                         0);
}

static uint64_t last_sequence(Harness *h) {
        Log log;

        read_log(h, 0, &log);
        return log.last;
}

static void assert_since(Harness *h, uint64_t after, const char *expected) {
        Log log;

        read_log(h, after, &log);
        assert_string_equal(log.text, expected);
}

static void touch_exit_now(Harness *h) {
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/run/tasks/default/exit-now", h->dir) > 0);
        fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void start(Harness *h, Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(process_start(&t->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        error_clear(&a.error);
}

static void wait_exit(Harness *h, Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(process_wait(&t->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
}

static void delete (Harness *h, Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(process_delete(&t->process, true, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

static void test_topics(void **state) {
        for (EventTopic i = 0; i < _EVENT_TOPIC_MAX; i++)
                assert_int_equal(event_topic_from_string(event_topic_to_string(i)), i);
        assert_int_equal(event_topic_from_string("/tasks/none"), _EVENT_TOPIC_MAX);
        assert_string_equal(event_topic_to_string(_EVENT_TOPIC_MAX), "/tasks/?");
}

static void test_rows(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Container *c;
        uint64_t n;
        Log log;

        (void) harness_image(h);
        read_log(h, 0, &log);
        assert_non_null(strstr(log.text, "/namespaces/create default;"));
        assert_non_null(strstr(log.text, "/content/create sha256:"));
        assert_non_null(strstr(log.text, "/snapshot/commit sha256:"));
        assert_non_null(strstr(log.text, "/images/create localhost/test:latest;"));

        n = log.last;
        c = harness_container(h, "web");
        assert_since(h, n, "/snapshot/prepare web;/containers/create web;");
        n = last_sequence(h);
        assert_int_equal(container_set_labels(c, json_pack("{ss}", "a", "b"), &e), 0);
        assert_since(h, n, "/containers/update web;");
        n = last_sequence(h);
        assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_since(h, n, "/containers/delete web;/snapshot/remove web;");

        /* what was rolled back has not happened */
        n = last_sequence(h);
        assert_int_equal(db_begin(h->manager->db, &e), 0);
        assert_int_equal(db_namespace_ensure(h->manager->db, "never", &e), 0);
        db_rollback(h->manager->db);
        assert_since(h, n, "");
}

static void test_life(void **state) {
        Harness *h = *state;
        uint64_t n;
        Log told = {};
        Task *t;

        (void) harness_image(h);
        manager_set_observer(h->manager, &observer, &told);
        event_log_release(h->manager);
        harness_settle(h);
        told = (Log){.last = told.last};
        t = harness_task(h, "web");
        n = last_sequence(h);
        start(h, t);
        assert_since(h, n, "/tasks/start web;");
        delete (h, t);
        harness_settle(h);
        assert_string_equal(told.text, "/snapshot/prepare web;/containers/create web;"
                                       "/tasks/create web;/tasks/start web;/tasks/exit web;"
                                       "/tasks/delete web;");
        manager_set_observer(h->manager, NULL, NULL);
}

/* An exit that comes with the answer to Start (D9), one of a task that was never started, a program
 * that is not there, and a creation that fails (D11). */
static void test_order(void **state) {
        Harness *h = *state;
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};
        Container *c;
        uint64_t n;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "fast");
        c = t->container;
        touch_exit_now(h);
        n = last_sequence(h);
        start(h, t);
        wait_exit(h, t);
        delete (h, t);
        assert_since(h, n, "/tasks/start fast;/tasks/exit fast;/tasks/delete fast;");

        /* another run of the same id */
        n = last_sequence(h);
        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        delete (h, c->task);
        assert_since(h, n, "/tasks/create fast;/tasks/delete fast;");

        setenv("FAKE_SUPERVISOR", "x", 1);
        n = last_sequence(h);
        a = (Answer){};
        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        start(h, c->task);
        delete (h, c->task);
        assert_since(h, n, "/tasks/create fast;/tasks/delete fast;");

        setenv("FAKE_SUPERVISOR", "f", 1);
        n = last_sequence(h);
        a = (Answer){};
        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_NOT_FOUND);
        error_clear(&a.error);
        assert_since(h, n, "");
}

static Task *find(Harness *h, const char *id) {
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = NULL;

        assert_int_equal(task_find(h->manager, "default", id, &t, &e), 0);
        return t;
}

/* The history of one container. */
static void assert_history(Harness *h, const char *id, const char *const *topics) {
        char expected[512] = "", found[512] = "", *save = NULL;
        Log log;

        for (; *topics; topics++)
                (void) snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
                                "%s %s;", *topics, id);
        read_log(h, 0, &log);
        for (char *s = strtok_r(log.text, ";", &save); s; s = strtok_r(NULL, ";", &save))
                if (streq(strchr(s, ' ') + 1, id))
                        (void) snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s;",
                                        s);
        assert_string_equal(found, expected);
}

static void kill_and_wait(Harness *h, Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(process_kill(&t->process, SIGKILL, PROCESS_KILL_ALL, answer_callback, &a,
                                      &e),
                         0);
        wait_exit(h, t);
}

static void flush(Harness *h, bool really) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (really)
                assert_int_equal(event_flush(h->manager, &e), 0);
}

/* Killed after each step, with and without having written it: nothing is lost, nothing doubled.
 * What was queued and not written is what a killed manager loses. */
static void test_killed(void **state) {
        static const char *const life[] = {
                        "/snapshot/prepare",
                        "/containers/create",
                        "/tasks/create",
                        "/tasks/start",
                        "/tasks/exit",
                        "/tasks/delete",
                        NULL,
        };
        Harness *h = *state;

        (void) harness_image(h);
        for (unsigned mask = 0; mask < 8; mask++) {
                char id[16];

                (void) snprintf(id, sizeof(id), "t%u", mask);
                (void) harness_task(h, id);
                flush(h, mask & 1);
                harness_restart(h);
                harness_restart(h);
                start(h, find(h, id));
                flush(h, mask & 2);
                harness_restart(h);
                kill_and_wait(h, find(h, id));
                flush(h, mask & 4);
                harness_restart(h);
                harness_restart(h);
                delete (h, find(h, id));
                harness_restart(h);
                assert_history(h, id, life);
        }
}

/* A reboot, or somebody who empties /run: what was there has ended, nobody knows how; and the
 * numbers skip what may have been lost. */
static void test_boot(void **state) {
        static const char *const life[] = {
                        "/snapshot/prepare",
                        "/containers/create",
                        "/tasks/create",
                        "/tasks/start",
                        "/tasks/exit",
                        "/tasks/delete",
                        NULL,
        };
        _cleanup_free_ char *path = NULL;
        Harness *h = *state;
        uint64_t last;

        (void) harness_image(h);
        start(h, harness_task(h, "web"));
        last = last_sequence(h);
        assert_int_equal(kill(find(h, "web")->process.pid, SIGKILL), 0);
        harness_stop(h);
        assert_true(asprintf(&path, "%s/run", h->dir) > 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
        h->boot_id = "another";
        harness_start(h);
        assert_history(h, "web", life);
        assert_true(last_sequence(h) > last + 1000000);
        last = last_sequence(h);
        harness_restart(h);
        assert_int_equal(last_sequence(h), last);
}

/* What cannot be written waits, keeps the manager from leaving, and is in order when it can. */
static void test_full_disk(void **state) {
        Harness *h = *state;
        uint64_t run, n = 0;
        size_t before;
        Task *t;
        Log log;
        int r;

        (void) harness_image(h);
        t = harness_task(h, "web");
        run = t->process.run;
        before = last_sequence(h);
        harness_sql(h->manager->db->handle, "PRAGMA max_page_count = 1"); /* as large as it is */
        do {
                _cleanup_error_ Error e = ERROR_NULL;

                t->process.run = run + ++n;
                t->process.events = 0;
                event_reached(&t->process, EVENT_TASK_CREATE);
                r = event_flush(h->manager, &e);
        } while (r == 0 && n < 1000);
        assert_int_equal(r, -ENOSPC);
        assert_true(event_log_is_busy(h->manager->events));
        assert_false(manager_is_idle(h->manager));

        harness_sql(h->manager->db->handle, "PRAGMA max_page_count = 100000");
        read_log(h, before, &log);
        assert_int_equal(log.n, n);
        assert_false(event_log_is_busy(h->manager->events));
        t->process.run = run;
}

static const char *const whole_life[] = {
                "/snapshot/prepare", "/containers/create", "/tasks/create",
                "/tasks/start",      "/tasks/paused",      "/tasks/resumed",
                "/tasks/exit",       "/tasks/delete",      NULL,
};

/* A paused and resumed task, and its end, while the database takes nothing. */
static void live_unwritten(Harness *h, const char *id) {
        Task *t = harness_task(h, id);

        flush(h, true);
        harness_sql(h->manager->db->handle, "PRAGMA query_only = 1");
        start(h, t);
        process_set_status(&t->process, TASK_PAUSING);
        process_set_status(&t->process, TASK_PAUSED);
        process_set_status(&t->process, TASK_RUNNING);
        delete (h, t);
        harness_settle(h);
        assert_true(event_log_is_busy(h->manager->events));
}

static char *spool_path(Harness *h, const char *suffix) {
        char *path;

        assert_true(asprintf(&path, "%s/events.spool%s", h->runtime_dir, suffix) > 0);
        return path;
}

static size_t read_file(const char *path, char **ret) {
        size_t size;

        assert_int_equal(file_read_at(AT_FDCWD, path, 1024 * 1024, ret, &size), 0);
        return size;
}

static void write_file(const char *path, const char *data, size_t size) {
        _cleanup_fclose_ FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_int_equal(fwrite(data, 1, size, f), size);
}

/* What could not be written by a manager that was killed is written by the next one: once, also if
 * that is killed between its commit and the removal of the spool. */
static void test_spool(void **state) {
        _cleanup_free_ char *path = NULL, *data = NULL;
        Harness *h = *state;
        uint64_t last;
        size_t size;

        (void) harness_image(h);
        live_unwritten(h, "web");
        path = spool_path(h, "");
        size = read_file(path, &data);
        harness_restart(h);
        assert_history(h, "web", whole_life);
        assert_int_equal(access(path, F_OK), -1);
        last = last_sequence(h);

        write_file(path, data, size);
        harness_restart(h);
        assert_int_equal(access(path, F_OK), -1);
        assert_history(h, "web", whole_life);
        assert_int_equal(last_sequence(h), last);

        /* others of another spool, and not for a manager that lived on */
        live_unwritten(h, "other");
        harness_sql(h->manager->db->handle, "PRAGMA query_only = 0");
        flush(h, true);
        assert_int_equal(access(path, F_OK), -1);
        assert_history(h, "other", whole_life);
        assert_history(h, "web", whole_life);
}

/* Neither the database nor the spool takes anything: what there is room for in memory is written
 * when it can be, the rest is lost and said to be. */
static void test_nowhere(void **state) {
        _cleanup_free_ char *path = NULL;
        Harness *h = *state;
        size_t before;
        uint64_t run;
        Task *t;
        Log log;

        (void) harness_image(h);
        path = spool_path(h, "");
        assert_int_equal(mkdir(path, 0700), 0);
        live_unwritten(h, "web");
        t = CONTAINER(object_find(h->manager, OBJECT_CONTAINER, "default", "web"))->task;
        assert_null(t);
        harness_sql(h->manager->db->handle, "PRAGMA query_only = 0");
        t = harness_task(h, "other");
        flush(h, true);
        assert_history(h, "web", whole_life);

        before = last_sequence(h);
        run = t->process.run;
        harness_sql(h->manager->db->handle, "PRAGMA query_only = 1");
        for (uint64_t i = 1; i <= 17000; i++) {
                t->process.run = run + i;
                t->process.events = 0;
                event_reached(&t->process, EVENT_TASK_CREATE);
        }
        t->process.run = run;
        harness_settle(h);
        assert_int_equal(rmdir(path), 0);
        harness_sql(h->manager->db->handle, "PRAGMA query_only = 0");
        flush(h, true);
        assert_int_equal(last_sequence(h), before + 16384);
        read_log(h, before + 16383, &log);
        assert_string_equal(log.text, "/tasks/create other;");
}

static void drop_note(Note *n, void *userdata) {
        (*(size_t *) userdata)++;
        note_free(n);
}

static void assert_content(const char *path, const char *data, size_t size) {
        _cleanup_free_ char *there = NULL;

        assert_int_equal(read_file(path, &there), size);
        assert_memory_equal(there, data, size);
}

/* A manager that is killed when it has read the spool, before it has written any of it, has changed
 * nothing of what counts. */
static void assert_readable_again(Harness *h, const char *path, const char *data, size_t size) {
        size_t n[2] = {};

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(spool_freep) Spool *s = NULL;
                _cleanup_error_ Error e = ERROR_NULL;

                assert_int_equal(spool_new(h->runtime_dir, &s, &e), 0);
                assert_int_equal(spool_load(s, h->manager->db, drop_note, &n[i], &e), 0);
                assert_int_equal(spool_left(s), n[i]);
                assert_content(path, data, size);
        }
        assert_true(n[0] > 0);
        assert_int_equal(n[0], n[1]);
}

/* A line without its end was never relied on; a damaged one is set aside, with what follows it. */
static void test_spool_damaged(void **state) {
        static const struct {
                const char *id, *more;
                size_t size;
                bool aside;
        } cases[] = {
#define TEXT(text) (text), sizeof(text) - 1
                        {"web", TEXT("{\"run\":\"default/web//1\",\"ed"), false},
                        {"other", TEXT("{\"run\":7}\n"), true},
                        {"third", TEXT("{\"run\":7}\n{}\n"), true},
                        {"nul", TEXT("\0\n{}\n"), true},
                        {"inner", TEXT("{\"run\":\"a\0b\"}\n"), true},
#undef TEXT
        };
        _cleanup_free_ char *path = NULL, *aside = NULL;
        Harness *h = *state;

        (void) harness_image(h);
        path = spool_path(h, "");
        aside = spool_path(h, ".damaged");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *data = NULL, *longer = NULL;
                size_t size;

                live_unwritten(h, cases[i].id);
                size = read_file(path, &data);
                longer = malloc(size + cases[i].size);
                assert_non_null(longer);
                memcpy(longer, data, size);
                memcpy(longer + size, cases[i].more, cases[i].size);
                write_file(path, longer, size + cases[i].size);
                assert_readable_again(h, path, data, size);
                if (cases[i].aside)
                        assert_content(aside, longer, size + cases[i].size);
                harness_restart(h);
                assert_history(h, cases[i].id, whole_life);
                assert_int_equal(access(path, F_OK), -1);
                assert_int_equal(access(aside, F_OK), cases[i].aside ? 0 : -1);
        }
        write_file(path, "", 0);
        harness_restart(h);
        write_file(path, "no spool\n", STRLEN("no spool\n"));
        harness_restart(h);
        assert_int_equal(access(path, F_OK), -1);
}

static int count_one(const Event *event, void *userdata) {
        (*(size_t *) userdata)++;
        return 0;
}

static void test_bounded(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        size_t n = 0;

        harness_sql(h->manager->db->handle,
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                    "67000)"
                    " INSERT INTO events(time, topic, namespace, name, details)"
                    " SELECT 1, '/containers/create', 'default', 'x', '{}' FROM n");
        harness_settle(h);
        assert_int_equal(event_foreach(h->manager, &(EventQuery){.until = UINT64_MAX}, count_one,
                                       &n, &e),
                         0);
        assert_int_equal(n, 65536);
        assert_true(last_sequence(h) >= 67000);
}

/* A database of the version before events: what is in it stays, and is followed from now on. */
static void test_migration(void **state) {
        char dir[] = "/tmp/test-migration-XXXXXX";
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        Database *db = NULL;
        sqlite3 *handle;
        uint64_t last;

        assert_non_null(mkdtemp(dir));
        assert_true(asprintf(&path, "%s/ctr.db", dir) > 0);
        assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
        harness_sql(handle, db_schema[0]);
        harness_sql(handle, "INSERT INTO namespaces(name) VALUES('old')");
        sqlite3_close(handle);

        assert_int_equal(db_open(dir, &db, &e), 0);
        assert_int_equal(db_event_last(db, &last, &e), 0);
        assert_int_equal(last, 0);
        assert_int_equal(db_namespace_delete(db, "old", &e), 0);
        assert_int_equal(db_event_last(db, &last, &e), 0);
        assert_int_equal(last, 1);
        db_close(db);
        assert_int_equal(tree_remove_at(AT_FDCWD, dir), 0);
}

/* Init ends while an exec is being added: that was none, and has no events (D11). */
static void test_exec_too_late(void **state) {
        static char *command[] = {(char *) "/bin/sh", NULL};
        const ExecRequest request = {.id = "late", .command = command, .streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer killed = {}, added = {};
        Harness *h = *state;
        uint64_t n;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        n = last_sequence(h);
        assert_int_equal(kill(t->process.pid, SIGSTOP), 0); /* so that it finds both requests */
        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &killed, &e), 0);
        assert_int_equal(task_exec(t, &request, answer_callback, &added, &e), 0);
        assert_int_equal(kill(t->process.pid, SIGCONT), 0);
        harness_wait(h, &added.done);
        assert_true(added.r > 0);
        wait_exit(h, t);
        assert_int_equal(t->n_execs, 0);
        assert_since(h, n, "/tasks/exit web;");
        error_clear(&added.error);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_topics),
                        cmocka_unit_test_setup_teardown(test_rows, harness_setup, harness_teardown),
                        cmocka_unit_test_setup_teardown(test_life, harness_setup, harness_teardown),
                        cmocka_unit_test_setup_teardown(test_order, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_exec_too_late, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_killed, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_boot, harness_setup, harness_teardown),
                        cmocka_unit_test_setup_teardown(test_full_disk, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_spool, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_nowhere, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_spool_damaged, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_bounded, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test(test_migration),
        };

        return cmocka_run_group_tests_name("manager/events", tests, NULL, NULL);
}
