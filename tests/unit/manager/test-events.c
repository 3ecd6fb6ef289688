/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events (A4.1, A4.2, D9, D11, D12): what is published, in which order, and exactly once, whatever
 * becomes of the manager; and the history. */

#include "harness.h"

#include <fcntl.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "manager/db.h"
#include "manager/event.h"

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
        touch_exit_now(h);
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

/* Killed after each step, with and without having written it: nothing is lost, nothing doubled.
 * What was queued and not written is what a killed manager loses. */
static void test_killed(void **state) {
        Harness *h = *state;

        (void) harness_image(h);
        for (unsigned mask = 0; mask < 8; mask++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Answer a = {};
                Container *c;
                char id[16];
                uint64_t n;
                Log log;

                (void) snprintf(id, sizeof(id), "t%u", mask);
                (void) harness_task(h, id);
                n = last_sequence(h);
                if (mask & 1)
                        assert_int_equal(event_flush(h->manager, &e), 0);
                harness_restart(h);
                harness_restart(h);
                start(h, find(h, id));
                if (mask & 2)
                        assert_int_equal(event_flush(h->manager, &e), 0);
                harness_restart(h);
                assert_int_equal(process_kill(&find(h, id)->process, SIGKILL, PROCESS_KILL_ALL,
                                              answer_callback, &a, &e),
                                 0);
                wait_exit(h, find(h, id));
                if (mask & 4)
                        assert_int_equal(event_flush(h->manager, &e), 0);
                harness_restart(h);
                harness_restart(h);
                delete (h, find(h, id));
                harness_restart(h);
                assert_int_equal(container_find(h->manager, "default", id, &c, &e), 0);
                a = (Answer){};
                assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
                harness_wait(h, &a.done);

                read_log(h, 0, &log);
                (void) n;
                /* of this container only */
                {
                        char expected[256], found[LOG_SIZE] = "";
                        char *save = NULL;

                        (void) snprintf(expected, sizeof(expected),
                                        "/snapshot/prepare %s;/containers/create %s;"
                                        "/tasks/create %s;/tasks/start %s;/tasks/exit %s;"
                                        "/tasks/delete %s;/containers/delete %s;"
                                        "/snapshot/remove %s;",
                                        id, id, id, id, id, id, id, id);
                        for (char *s = strtok_r(log.text, ";", &save); s;
                             s = strtok_r(NULL, ";", &save))
                                if (strstr(s, id)) {
                                        strcat(found, s);
                                        strcat(found, ";");
                                }
                        assert_string_equal(found, expected);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_topics),
                        cmocka_unit_test_setup_teardown(test_rows, harness_setup, harness_teardown),
                        cmocka_unit_test_setup_teardown(test_life, harness_setup, harness_teardown),
                        cmocka_unit_test_setup_teardown(test_order, harness_setup,
                                                        harness_teardown),
                        cmocka_unit_test_setup_teardown(test_killed, harness_setup,
                                                        harness_teardown),
        };

        return cmocka_run_group_tests_name("manager/events", tests, NULL, NULL);
}
