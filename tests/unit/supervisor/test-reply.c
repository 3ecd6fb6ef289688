/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers that come later: what waits for one holds up nobody, and a connection that is gone
 * changes nothing. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "basic/process.h"
#include "task-harness.h"

#define WAITING "{\"wait\":true}"
#define NOTHING "{}"

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

/* The manager dies while a start is under way: a new one sees that, repeats it, and is answered. */
static void test_manager_gone(void **state) {
        const HarnessRequest go_on = {.type = SUPERVISOR_SIGNAL,
                                      .number = SIGUSR1,
                                      .flags = SUPERVISOR_SIGNAL_ALL};
        SupervisorMessage m;
        TaskUnderTest t;
        int other;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e", "{\"hang\":true,\"exit\":3}", NOTHING, false);
        harness_send_request(t.fd, &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e"});
        other = harness_connect(&t);
        do
                assert_int_equal(harness_about(other, SUPERVISOR_EXEC_STATE, "e", &m), 0);
        while (!(m.flags & SUPERVISOR_STATE_STARTING));
        /* the first one still waits */
        assert_int_equal(harness_about(other, SUPERVISOR_EXEC_START, "e", NULL),
                         CTR_FAILED_PRECONDITION);
        t.fd = fd_close(t.fd);
        t.fd = harness_connect(&t);
        /* the end of the first one was seen before the second answer */
        assert_int_equal(harness_about(t.fd, SUPERVISOR_HELLO, "", NULL), 0);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_HELLO, "", NULL), 0);
        harness_send_request(t.fd, &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e"});
        assert_int_equal(harness_request(other, &go_on, NULL), 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_REPLY, &m), 0);
        assert_true(m.pid > 0);
        harness_expect_exec_exited(t.fd, "e", 3);
        fd_close(other);
        stop(&t);
}

/* The same with nobody who comes back: nothing is lost. */
static void test_vanished_connection(void **state) {
        ExitRecord record;
        SupervisorMessage m;
        TaskUnderTest t;
        int fd;

        harness_start(&t, NOTHING, WAITING, NULL);
        harness_exec(&t, "e", "{\"exit\":3}", NOTHING, false);
        fd = harness_connect(&t);
        harness_send_request(fd, &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e"});
        fd_close(fd);
        harness_expect_exec_exited(t.fd, "e", 3);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", &m), 0);
        assert_int_equal(exec_record_read(t.dir_fd, "e", &record, NULL), 0);
        assert_int_equal(record.exit_status, 3);
        exit_record_clear(&record);
        stop(&t);
}

/* START is not in the way of anything else. */
static void test_start_is_deferred(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        int other;

        harness_create(&t, NOTHING, "{\"hang\":true,\"exit\":5}", NULL);
        other = harness_connect(&t);
        harness_send(t.fd, SUPERVISOR_START, 0, 0);
        do
                assert_int_equal(harness_call(other, SUPERVISOR_HELLO, 0, 0, &m), 0);
        while (!(m.flags & SUPERVISOR_STATE_STARTING));
        assert_int_equal(harness_call(other, SUPERVISOR_START, 0, 0, NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_call(other, SUPERVISOR_PAUSE, 0, 0, NULL),
                         CTR_FAILED_PRECONDITION);
        t.fd = fd_close(t.fd);
        do /* until the supervisor has seen that */
                harness_send(other, SUPERVISOR_START, 0, 0);
        while (harness_call(other, SUPERVISOR_HELLO, 0, 0, &m) == CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_call(other, SUPERVISOR_SIGNAL, SIGUSR1, 0, NULL), 0);
        assert_int_equal(harness_reply(other, NULL), 0);
        harness_expect_record(&t, 5, NULL);
        fd_close(other);
        harness_clear(&t);
}

/* The time limit of systemd's stop holds for what never comes to execute. */
static void test_sigterm_while_starting(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_create(&t, "{\"stop_timeout\":100000}", "{\"hang\":true,\"ignore\":true}", NULL);
        harness_send(t.fd, SUPERVISOR_START, 0, 0);
        do
                harness_send(t.fd, SUPERVISOR_HELLO, 0, 0);
        while (harness_reply(t.fd, &m) == 0 && !(m.flags & SUPERVISOR_STATE_STARTING));
        assert_int_equal(pidfd_signal(t.pidfd, SIGTERM), 0);
        (void) harness_expect(t.fd, SUPERVISOR_REPLY, NULL);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, &m), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

/* A restore that is given up: whoever asked for it hears that before the end of the task. */
static void test_killed_while_restoring(void **state) {
        char dir[] = "/tmp/test-criu-XXXXXX", path[64];
        _cleanup_free_ char *saved = strdup(getenv("PATH"));
        unsigned n_failed = 0;
        SupervisorMessage m;
        TaskUnderTest t;

        /* it does not come to be executed: the double's document is none */
        assert_non_null(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/criu", dir);
        fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
        setenv("PATH", dir, 1);
        harness_spawn(&t, "{\"checkpoint\":\"/tmp\"}", NOTHING, NULL);
        setenv("PATH", saved, 1);
        harness_send(t.fd, SUPERVISOR_GO, 0, 0);
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_CREATED, &m), 0);
        assert_int_equal(m.pid, 0);

        assert_int_equal(pidfd_signal(t.pidfd, SIGSTOP), 0);
        harness_send(t.fd, SUPERVISOR_START, 0, 0);
        harness_send(t.fd, SUPERVISOR_SIGNAL, SIGKILL, 0);
        assert_int_equal(pidfd_signal(t.pidfd, SIGCONT), 0);
        while (harness_receive(t.fd, &m) && m.type != SUPERVISOR_EXITED) {
                assert_int_equal(m.type, SUPERVISOR_REPLY);
                n_failed += m.code != 0;
        }
        assert_int_equal(n_failed, 1);
        harness_clear(&t);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_manager_gone),
                        cmocka_unit_test(test_vanished_connection),
                        cmocka_unit_test(test_start_is_deferred),
                        cmocka_unit_test(test_sigterm_while_starting),
                        cmocka_unit_test(test_killed_while_restoring),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
