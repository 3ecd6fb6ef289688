/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a task as the manager sees it: launch, start, stop, exit, and what must not disturb
 * any of them. The supervisor is the real program; container and cgroup are doubles. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/process.h"
#include "task-harness.h"

#define NO_LIMIT UINT64_MAX

static void assert_nothing_left(TaskUnderTest *t) {
        assert_int_equal(faccessat(t->dir_fd, TASK_FILE_EXIT, F_OK, 0), -1);
        assert_int_equal(faccessat(t->dir_fd, SUPERVISOR_CONTROL_NAME, F_OK, 0), -1);
}

static void test_eof_before_go(void **state) {
        TaskUnderTest t;

        harness_spawn(&t, "{}", "{\"wait\":true}", NULL);
        t.fd = fd_close(t.fd);
        assert_int_equal(harness_wait(&t), 0);
        assert_nothing_left(&t);
        harness_clear(&t);
}

static void test_sigterm_before_go(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_spawn(&t, "{}", "{\"wait\":true}", NULL);
        /* answered: signals are blocked and read by now */
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), CTR_FAILED_PRECONDITION);
        assert_int_equal(pidfd_signal(t.pidfd, SIGTERM), 0);
        assert_false(harness_receive(t.fd, &m));
        assert_int_equal(harness_wait(&t), 0);
        assert_nothing_left(&t);
        harness_clear(&t);
}

static void test_failed(void **state) {
        static const struct {
                const char *launch, *config;
                bool go;
                int code;
                const char *text;
        } cases[] = {
                        {"{}", "{\"fail\":\"new\",\"code\":\"InvalidArgument\"}", false,
                         CTR_INVALID_ARGUMENT, "at new"},
                        {"{}", "{\"fail\":\"clone\"}", false, CTR_UNKNOWN, "at clone"},
                        {"{}", "{\"fail\":\"enter\",\"code\":\"NotFound\"}", true, CTR_NOT_FOUND,
                         "at enter"},
                        {"{\"unit\":\"lost.scope\"}", "{}", true, CTR_UNAVAILABLE, "lost.scope"},
                        {"{}", "{", false, CTR_INVALID_ARGUMENT, "config.json"},
                        {"{\"id\":null}", "{}", false, -EBADMSG, "launch.json"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"binary\",\"path\":\"binary:///x\"}}}",
                         "{}", true, CTR_COMMAND_NOT_FOUND, "Log program /x"},
                        {"{\"terminal\":true}", "{}", true, CTR_INVALID_ARGUMENT, "terminal"},
                        {"{}", "{\"terminal\":true}", true, CTR_INVALID_ARGUMENT, "terminal"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SupervisorMessage m;
                TaskUnderTest t;

                harness_spawn(&t, cases[i].launch, cases[i].config, NULL);
                if (cases[i].go)
                        harness_send(t.fd, SUPERVISOR_GO, 0, 0);
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_FAILED, &m), cases[i].code);
                assert_non_null(strstr(m.text, cases[i].text));
                assert_false(harness_receive(t.fd, &m));
                assert_int_equal(harness_wait(&t), 1);
                assert_nothing_left(&t);
                harness_clear(&t);
        }
}

#define HOOK(script) "[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"" script "\"]}]"

/* The answer to START waits for the hooks of the start; those of the end are over before the
 * supervisor is. */
static void test_hooks(void **state) {
        _cleanup_free_ char *config = NULL;
        SupervisorMessage m;
        struct stat st;
        TaskUnderTest t;
        char path[64] = "/tmp/ctr-test-hooks-XXXXXX";
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        fd_close(fd);
        assert_int_equal(unlink(path), 0);
        assert_true(asprintf(&config,
                             "{\"wait\":true,\"hooks\":{\"poststart\":" HOOK(
                                             "mkdir %s") ",\"poststop\":" HOOK("rmdir %s; exit "
                                                                               "1") "}}",
                             path, path) > 0);
        harness_create(&t, "{}", config, NULL);
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, 9, 0, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
        harness_expect_record(&t, 137, NULL);
        assert_int_equal(stat(path, &st), -1);
        harness_clear(&t);

        /* one of the start that fails ends the container */
        harness_create(&t, "{}", "{\"wait\":true,\"hooks\":{\"poststart\":" HOOK("exit 3") "}}",
                       NULL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, &m), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "hooks.poststart[0]: /bin/sh failed with status 3"));
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

/* The record is there before EXITED, and EXITED before the end. */
static void test_exit_status(void **state) {
        static const struct {
                const char *config;
                int status;
        } cases[] = {
                        {"{\"exit\":0}", 0},
                        {"{\"exit\":3}", 3},
                        {"{\"exit\":255}", 255},
                        {"{\"kill\":9}", 137},
                        {"{\"kill\":15, \"wait\":false}", 7}, /* it handles that one */
                        {"{\"kill\":6}", 134},
                        {"{\"exit\":4, \"leave\":true}", 4},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ExitRecord record;
                SupervisorMessage m;
                TaskUnderTest t;

                harness_start(&t, "{}", cases[i].config, NULL);
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
                assert_int_equal(m.number, cases[i].status);
                assert_int_equal(faccessat(t.dir_fd, TASK_FILE_EXIT, F_OK, 0), 0);
                harness_expect_record(&t, cases[i].status, &record);
                assert_true(record.started && !record.oom_killed && !record.error);
                assert_int_equal(record.exited_at, m.usec);
                assert_int_equal(record.pid, m.pid);
                assert_int_equal(faccessat(t.dir_fd, SUPERVISOR_CONTROL_NAME, F_OK, 0), -1);
                exit_record_clear(&record);
                harness_clear(&t);
        }
}

static void test_command_not_found(void **state) {
        ExitRecord record;
        SupervisorMessage m;
        TaskUnderTest t;

        harness_create(&t, "{}", "{\"fail\":\"start\",\"code\":\"CommandNotFound\"}", NULL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, &m), CTR_COMMAND_NOT_FOUND);
        assert_string_equal(m.text, "Asked to fail at start");
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
        assert_int_equal(m.number, 127);
        harness_expect_record(&t, 127, &record);
        assert_true(record.started);
        assert_string_equal(record.error, "Asked to fail at start");
        exit_record_clear(&record);
        harness_clear(&t);
}

static void test_oom_comes_before_exit(void **state) {
        ExitRecord record;
        TaskUnderTest t;

        harness_start(&t, "{}", "{\"kill\":9, \"oom\":1}", NULL);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_OOM, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 137, &record);
        assert_true(record.oom_killed);
        exit_record_clear(&record);
        harness_clear(&t);
}

static void test_sigterm_stops(void **state) {
        static const struct {
                const char *launch, *config;
                int signo, status;
        } cases[] = {
                        {"{}", "{\"wait\":true}", SIGTERM, 7},
                        {"{\"stop_signal\":2}", "{\"wait\":true}", SIGTERM, 130},
                        {"{\"stop_signal\":12}", "{\"wait\":true}", SIGUSR2, 140},
                        {"{\"stop_timeout\":100000}", "{\"wait\":true,\"ignore\":true}", SIGTERM,
                         137},
                        {"{\"stop_timeout\":0}", "{\"wait\":true,\"ignore\":true}", SIGTERM, 137},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TaskUnderTest t;

                harness_start(&t, cases[i].launch, cases[i].config, NULL);
                /* nobody is there any more: it does not matter */
                t.fd = fd_close(t.fd);
                assert_int_equal(pidfd_signal(t.pidfd, cases[i].signo), 0);
                harness_expect_record(&t, cases[i].status, NULL);
                harness_clear(&t);
        }
}

static void test_stop_before_start(void **state) {
        for (int way = 0; way < 3; way++) {
                ExitRecord record;
                TaskUnderTest t;

                harness_create(&t, "{}", "{\"wait\":true,\"ignore\":true}", NULL);
                if (way == 0)
                        assert_int_equal(pidfd_signal(t.pidfd, SIGTERM), 0);
                else if (way == 1)
                        assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, SIGTERM, NO_LIMIT,
                                                      NULL),
                                         0);
                else
                        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL),
                                         0);
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
                harness_expect_record(&t, 137, &record);
                assert_false(record.started);
                exit_record_clear(&record);
                harness_clear(&t);
        }
}

static void test_stop_request(void **state) {
        TaskUnderTest t;

        harness_start(&t, "{}", "{\"wait\":true,\"ignore\":true}", NULL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, 0, 0, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, SIGTERM, NO_LIMIT, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, SIGTERM, 50000, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

static void test_requests(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_spawn(&t, "{}", "{\"wait\":true}", NULL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), CTR_FAILED_PRECONDITION);
        harness_send(t.fd, SUPERVISOR_GO, 0, 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_CREATED, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_GO, 0, 0, NULL), CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_call(t.fd, 4711, 0, 0, NULL), CTR_NOT_IMPLEMENTED);
        assert_int_equal(harness_call(t.fd, 0, 0, 0, NULL), CTR_NOT_IMPLEMENTED);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_REPLY, 0, 0, NULL), CTR_NOT_IMPLEMENTED);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_int_equal(m.number, SUPERVISOR_PROTOCOL_VERSION);
        assert_int_equal(m.flags, 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, &m), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "running"));
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_int_equal(m.flags, SUPERVISOR_STATE_STARTED);
        assert_int_equal(kill(m.pid, 0), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_RESIZE, 80, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_CLOSE_STDIN, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, 65, 0, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, -1, 0, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGKILL, 0, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

/* The manager goes and comes back; everybody is told of the end. */
static void test_connections(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        struct stat st;
        int a, b;

        harness_start(&t, "{}", "{\"wait\":true}", NULL);
        assert_int_equal(fstatat(t.dir_fd, SUPERVISOR_CONTROL_NAME, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        t.fd = fd_close(t.fd);
        a = harness_connect(&t);
        b = harness_connect(&t);
        assert_int_equal(harness_call(a, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_int_equal(m.flags, SUPERVISOR_STATE_STARTED);
        assert_int_equal(harness_call(b, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        assert_int_equal(harness_expect(a, SUPERVISOR_EXITED, &m), 0);
        assert_int_equal(m.number, 7);
        assert_int_equal(harness_expect(b, SUPERVISOR_EXITED, &m), 0);
        assert_int_equal(m.number, 7);
        assert_false(harness_receive(a, &m));
        harness_expect_record(&t, 7, NULL);
        fd_close(a);
        fd_close(b);
        harness_clear(&t);
}

static void test_garbage(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        int bad, silent, r = 0;

        harness_start(&t, "{}", "{\"wait\":true}", NULL);
        bad = harness_connect(&t);
        assert_int_equal(send(bad, "rubbish", 7, 0), 7);
        assert_false(harness_receive(bad, &m));
        fd_close(bad);

        /* asks and asks and never reads */
        silent = harness_connect(&t);
        for (unsigned i = 0; i < 100000 && r == 0; i++) {
                SupervisorMessage hello = {.type = SUPERVISOR_HELLO, .id = i};
                r = supervisor_message_send(silent, &hello, NULL, 0);
                if (r == -EAGAIN) {
                        /* it is being served: others are too */
                        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), 0);
                        r = 0;
                }
        }
        assert_int_equal(r, -EPIPE);
        fd_close(silent);

        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        harness_clear(&t);
}

static void test_too_many_connections(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        int fds[15], one_more;

        harness_start(&t, "{}", "{\"wait\":true}", NULL);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = harness_connect(&t);
                assert_int_equal(harness_call(fds[i], SUPERVISOR_HELLO, 0, 0, NULL), 0);
        }
        one_more = harness_connect(&t);
        assert_false(harness_receive(one_more, &m));
        fd_close(one_more);
        fd_close(fds[0]);
        /* the place becomes free when the end of file was seen, and that is before this answer */
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), 0);
        fds[0] = harness_connect(&t);
        assert_int_equal(harness_call(fds[0], SUPERVISOR_HELLO, 0, 0, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fd_close(fds[i]);
        harness_clear(&t);
}

/* Something is in the way of the record: it is written when that is gone. */
static void test_record_is_retried(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_create(&t, "{}", "{\"exit\":5}", NULL);
        assert_int_equal(mkdirat(t.dir_fd, TASK_FILE_EXIT, 0700), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        do
                assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        while (!(m.flags & SUPERVISOR_STATE_EXITED));
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGKILL, 0, NULL), CTR_NOT_FOUND);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, SIGTERM, 0, NULL), CTR_NOT_FOUND);
        assert_int_equal(unlinkat(t.dir_fd, TASK_FILE_EXIT, AT_REMOVEDIR), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        harness_expect_record(&t, 5, NULL);
        harness_clear(&t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_eof_before_go),
                        cmocka_unit_test(test_sigterm_before_go),
                        cmocka_unit_test(test_failed),
                        cmocka_unit_test(test_exit_status),
                        cmocka_unit_test(test_hooks),
                        cmocka_unit_test(test_command_not_found),
                        cmocka_unit_test(test_oom_comes_before_exit),
                        cmocka_unit_test(test_sigterm_stops),
                        cmocka_unit_test(test_stop_before_start),
                        cmocka_unit_test(test_stop_request),
                        cmocka_unit_test(test_requests),
                        cmocka_unit_test(test_connections),
                        cmocka_unit_test(test_garbage),
                        cmocka_unit_test(test_too_many_connections),
                        cmocka_unit_test(test_record_is_retried),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
