/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execs as the manager sees them: added, started, ended, deleted, and all of it before init's end
 * (D10). */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "task-harness.h"

#define WAITING "{\"wait\":true}"
#define NOTHING "{}"

static bool has_file(const TaskUnderTest *t, const char *prefix, const char *id) {
        char name[TASK_EXEC_FILE_SIZE];

        return faccessat(t->dir_fd, exec_file_name(prefix, id, name), F_OK, 0) == 0;
}

static void expect_record(const TaskUnderTest *t, const char *id, int status, ExitRecord *ret) {
        ExitRecord record;

        assert_int_equal(exec_record_read(t->dir_fd, id, &record, NULL), 0);
        assert_int_equal(record.exit_status, status);
        assert_true(record.started);
        if (ret)
                *ret = record;
        else
                exit_record_clear(&record);
}

static void stop(TaskUnderTest *t) {
        SupervisorMessage m;

        assert_int_equal(harness_call(t->fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        do
                assert_true(harness_receive(t->fd, &m));
        while (m.type == SUPERVISOR_EXEC_EXITED);
        assert_int_equal(m.type, SUPERVISOR_EXITED);
        harness_expect_record(t, 7, NULL);
        harness_clear(t);
}

/* The pid comes with the answer, the record before the push; a deleted id is free again, and no
 * descriptor is left of it. */
static void test_life(void **state) {
        static const struct {
                const char *process;
                int status;
        } cases[] = {
                        {"{\"exit\":0}", 0},
                        {"{\"exit\":3}", 3},
                        {"{\"kill\":9}", 137},
                        {"{\"exit\":4,\"terminal\":true}", 4},
        };
        SupervisorMessage m;
        TaskUnderTest t;
        size_t n_fds;

        harness_start(&t, NOTHING, WAITING, NULL);
        n_fds = harness_count_fds(&t);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ExitRecord record;
                pid_t pid;

                harness_exec(&t, "e", cases[i].process, NOTHING, false);
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", &m), 0);
                assert_int_equal(m.flags & ~SUPERVISOR_STATE_TERMINAL, 0);
                assert_int_equal(m.pid, 0);
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", &m), 0);
                pid = m.pid;
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXEC_EXITED, &m), 0);
                assert_string_equal(m.text, "e");
                assert_int_equal(m.number, cases[i].status);
                assert_int_equal(m.pid, pid);
                expect_record(&t, "e", cases[i].status, &record);
                assert_int_equal(record.pid, pid);
                assert_int_equal(record.exited_at, m.usec);
                exit_record_clear(&record);
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", &m), 0);
                assert_int_equal(m.flags & ~SUPERVISOR_STATE_TERMINAL,
                                 SUPERVISOR_STATE_STARTED | SUPERVISOR_STATE_EXITED);
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_DELETE, "e", NULL), 0);
                assert_false(has_file(&t, TASK_FILE_EXEC_PREFIX, "e"));
                assert_false(has_file(&t, TASK_FILE_EXEC_EXIT_PREFIX, "e"));
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", NULL),
                                 CTR_NOT_FOUND);
        }
        assert_int_equal(harness_count_fds(&t), n_fds);
        stop(&t);
}

static void test_refused(void **state) {
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e", WAITING, NOTHING, false);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "e", NULL), CTR_ALREADY_EXISTS);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "", NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "../e", NULL),
                         CTR_INVALID_ARGUMENT);
        assert_true(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "none", NULL) != 0);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "none", NULL), CTR_NOT_FOUND);
        harness_exec_document(&t, "bad", "[]", NOTHING);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "bad", NULL), -EBADMSG);
        harness_exec_document(&t, "fd", NOTHING, "{\"stdin\":{\"kind\":\"fd\"}}");
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "fd", NULL),
                         CTR_INVALID_ARGUMENT);

        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL), 0);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_DELETE, "e", NULL),
                         CTR_FAILED_PRECONDITION);
        stop(&t);
}

/* More descriptors than streams, and ones that are no streams (a directory, O_PATH). */
static void test_bad_descriptors(void **state) {
        TaskUnderTest t;
        size_t n_fds;
        int fds[2];

        harness_start(&t, NOTHING, WAITING, NULL);
        n_fds = harness_count_fds(&t);
        harness_exec_document(&t, "e", NOTHING, "{\"stdout\":{\"kind\":\"fd\"}}");
        fds[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fds[1] = open("/dev/null", O_PATH | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                HarnessRequest q = {.type = SUPERVISOR_EXEC_ADD, .text = "e", .fds = {fds[i]}};

                q.n_fds = 1;
                assert_int_equal(harness_request(t.fd, &q, NULL), CTR_INVALID_ARGUMENT);
                q.fds[1] = q.fds[2] = q.fds[3] = STDERR_FILENO;
                q.n_fds = 4;
                assert_int_equal(harness_request(t.fd, &q, NULL), CTR_INVALID_ARGUMENT);
                fd_close(fds[i]);
        }
        assert_int_equal(harness_count_fds(&t), n_fds);
        stop(&t);
}

/* What cannot be executed ends all the same, after the answer that says why (D17). */
static void test_cannot_execute(void **state) {
        static const struct {
                const char *process;
                int code, status;
        } cases[] = {
                        {"{\"fail\":\"start\",\"code\":\"CommandNotFound\"}", CTR_COMMAND_NOT_FOUND,
                         127},
                        {"{\"fail\":\"start\",\"code\":\"CommandNotExecutable\"}",
                         CTR_COMMAND_NOT_EXECUTABLE, 126},
                        {"{\"fail\":\"clone\",\"code\":\"ResourceExhausted\"}",
                         CTR_RESOURCE_EXHAUSTED, 125},
        };
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SupervisorMessage m;
                ExitRecord record;

                harness_exec(&t, "e", cases[i].process, NOTHING, false);
                harness_send_request(t.fd,
                                     &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e"});
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_REPLY, &m), cases[i].code);
                assert_non_null(strstr(m.text, "Asked to fail"));
                harness_expect_exec_exited(t.fd, "e", cases[i].status);
                expect_record(&t, "e", cases[i].status, &record);
                assert_non_null(strstr(record.error, "Asked to fail"));
                exit_record_clear(&record);
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_DELETE, "e", NULL), 0);
        }
        stop(&t);
}

/* Init's exit is the last one; what was only added vanishes. */
static void test_init_ends_last(void **state) {
        SupervisorMessage m;
        ExitRecord record;
        bool seen[3] = {};
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e0", WAITING, NOTHING, true);
        harness_exec(&t, "e1", "{\"wait\":true,\"ignore\":true}", NOTHING, true);
        harness_exec(&t, "e2", "{\"hang\":true}", NOTHING, false);
        harness_send_request(t.fd, &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e2"});
        harness_exec(&t, "added", NOTHING, NOTHING, false);
        harness_send(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_REPLY, NULL), 0);
        /* the start that was under way is given up */
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_REPLY, &m), CTR_FAILED_PRECONDITION);
        for (size_t i = 0; i < ELEMENTSOF(seen); i++) {
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXEC_EXITED, &m), 0);
                assert_int_equal(m.text[0], 'e');
                assert_false(seen[m.text[1] - '0']);
                seen[m.text[1] - '0'] = true;
        }
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
        harness_expect_record(&t, 7, NULL);
        expect_record(&t, "e0", 137, NULL);
        expect_record(&t, "e1", 137, NULL);
        expect_record(&t, "e2", 125, NULL);
        assert_int_equal(exec_record_read(t.dir_fd, "added", &record, NULL), -ENOENT);
        harness_clear(&t);
}

/* After init's end nothing starts any more. The record's place is taken, so that the supervisor
 * stays to be asked. */
static void test_after_exit(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e", NOTHING, NOTHING, false);
        harness_exec_document(&t, "f", NOTHING, NOTHING);
        assert_int_equal(mkdirat(t.dir_fd, TASK_FILE_EXIT, 0700), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        do
                assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        while (!(m.flags & SUPERVISOR_STATE_EXITED));
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", &m),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "not running"));
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "f", NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_PAUSE, "", NULL), CTR_FAILED_PRECONDITION);
        assert_int_equal(unlinkat(t.dir_fd, TASK_FILE_EXIT, AT_REMOVEDIR), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        harness_clear(&t);
}

/* Before START, too (D5). */
static void test_before_start(void **state) {
        TaskUnderTest t;

        harness_create(&t, NOTHING, "{\"exit\":5}", NULL);
        harness_exec(&t, "e", "{\"exit\":3}", NOTHING, true);
        harness_expect_exec_exited(t.fd, "e", 3);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        harness_expect_record(&t, 5, NULL);
        harness_clear(&t);
}

/* Signals go to the one process (D7). */
static void test_signal(void **state) {
        const HarnessRequest term = {.type = SUPERVISOR_SIGNAL, .number = SIGTERM, .text = "e"};
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e", WAITING, NOTHING, false);
        assert_int_equal(harness_request(t.fd, &term, NULL), CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL), 0);
        assert_int_equal(harness_request(t.fd, &term, NULL), 0);
        harness_expect_exec_exited(t.fd, "e", 7);
        assert_int_equal(harness_request(t.fd, &term, NULL), CTR_NOT_FOUND);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, 0, 0, NULL), 0);
        stop(&t);
}

/* /run is full for a while: the record and the push come when it is not. */
static void test_record_is_retried(void **state) {
        TaskUnderTest t;

        harness_start(&t, NOTHING, WAITING, NULL);
        assert_int_equal(mkdirat(t.dir_fd, "exit-e.json", 0700), 0);
        harness_exec(&t, "e", "{\"exit\":3}", NOTHING, true);
        for (;;) {
                SupervisorMessage m;

                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", &m), 0);
                if (m.flags & SUPERVISOR_STATE_EXITED)
                        break;
        }
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_DELETE, "e", NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(unlinkat(t.dir_fd, "exit-e.json", AT_REMOVEDIR), 0);
        harness_expect_exec_exited(t.fd, "e", 3);
        expect_record(&t, "e", 3, NULL);
        stop(&t);
}

/* As many as there may be; the next one is refused and changes nothing. */
static void test_many(void **state) {
        TaskUnderTest t;
        char id[16];

        harness_start(&t, NOTHING, WAITING, NULL);
        for (unsigned i = 0; i < 1024; i++) {
                (void) snprintf(id, sizeof(id), "e%u", i);
                harness_exec(&t, id, "{\"exit\":1}", NOTHING, true);
                harness_expect_exec_exited(t.fd, id, 1);
        }
        harness_exec_document(&t, "more", NOTHING, NOTHING);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "more", NULL),
                         CTR_RESOURCE_EXHAUSTED);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_DELETE, "e500", NULL), 0);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "more", NULL), 0);
        stop(&t);
}

/* Nobody can use up the last descriptors, which those need who want to end it. */
static void test_descriptors_run_out(void **state) {
        struct rlimit before, lower;
        SupervisorMessage m;
        TaskUnderTest t;
        unsigned n = 0;
        char id[16];
        int r, fd;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        lower = (struct rlimit){.rlim_cur = 256, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
        harness_start(&t, NOTHING, WAITING, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        do {
                (void) snprintf(id, sizeof(id), "e%u", n++);
                harness_exec_document(&t, id, WAITING,
                                      "{\"stdin\":{\"kind\":\"attach\"},"
                                      "\"stdout\":{\"kind\":\"attach\"},"
                                      "\"stderr\":{\"kind\":\"attach\"}}");
                r = harness_about(t.fd, SUPERVISOR_EXEC_ADD, id, &m);
        } while (r == 0 && n < 1024);
        assert_int_equal(r, CTR_RESOURCE_EXHAUSTED);
        assert_true(n > 20);
        fd = harness_connect(&t);
        assert_int_equal(harness_about(fd, SUPERVISOR_EXEC_DELETE, "e0", NULL), 0);
        fd_close(fd);
        stop(&t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_life),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_bad_descriptors),
                        cmocka_unit_test(test_cannot_execute),
                        cmocka_unit_test(test_init_ends_last),
                        cmocka_unit_test(test_after_exit),
                        cmocka_unit_test(test_before_start),
                        cmocka_unit_test(test_signal),
                        cmocka_unit_test(test_record_is_retried),
                        cmocka_unit_test(test_many),
                        cmocka_unit_test(test_descriptors_run_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
