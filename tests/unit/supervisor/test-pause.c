/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pausing, and what signals and stops do to a task that is paused or in the middle of it. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "task-harness.h"

#define WAITING     "{\"wait\":true}"
#define UNFREEZABLE "{\"wait\":true,\"unfreezable\":true}"

static uint32_t flags_of(int fd) {
        SupervisorMessage m;

        assert_int_equal(harness_call(fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        return m.flags & (SUPERVISOR_STATE_PAUSED | SUPERVISOR_STATE_PAUSING);
}

static void pause_task(TaskUnderTest *t) {
        assert_int_equal(harness_call(t->fd, SUPERVISOR_PAUSE, 0, 0, NULL), 0);
        assert_int_equal(flags_of(t->fd), SUPERVISOR_STATE_PAUSED);
}

static void test_pause_and_resume(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_create(&t, "{}", WAITING, NULL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_PAUSE, 0, 0, &m), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "created"));
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, &m), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "running"));
        for (int i = 0; i < 3; i++) {
                pause_task(&t);
                assert_int_equal(harness_call(t.fd, SUPERVISOR_PAUSE, 0, 0, &m),
                                 CTR_FAILED_PRECONDITION);
                assert_non_null(strstr(m.text, "paused"));
                assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, NULL), 0);
                assert_int_equal(flags_of(t.fd), 0);
        }
        /* a signal waits for the end of the pause, SIGKILL does not */
        pause_task(&t);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        harness_clear(&t);

        harness_start(&t, "{}", WAITING, NULL);
        pause_task(&t);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGKILL, 0, NULL), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

/* A pause soon after a resumption does not wait for the kernel to announce it, which it does every
 * 10 ms at most. On a busy machine many calls take longer, but not each. */
static void test_in_turns(void **state) {
        uint64_t shortest = UINT64_MAX;
        TaskUnderTest t;

        harness_start(&t, "{}", WAITING, NULL);
        for (int i = 0; i < 30 || (i < 300 && shortest >= 5 * USEC_PER_MSEC); i++) {
                uint64_t before;

                assert_int_equal(harness_call(t.fd, SUPERVISOR_PAUSE, 0, 0, NULL), 0);
                assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, NULL), 0);
                before = now_monotonic();
                assert_int_equal(harness_call(t.fd, SUPERVISOR_PAUSE, 0, 0, NULL), 0);
                shortest = MIN_OF(shortest, now_monotonic() - before);
                assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, NULL), 0);
        }
        assert_true(shortest < 5 * USEC_PER_MSEC);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGKILL, 0, NULL), 0);
        harness_expect_record(&t, 137, NULL);
        harness_clear(&t);
}

/* A stop lets it go on first, by request and by systemd (D4). */
static void test_stop(void **state) {
        static const char *const configs[] = {WAITING, UNFREEZABLE};

        for (size_t i = 0; i < ELEMENTSOF(configs); i++)
                for (int by_signal = 0; by_signal < 2; by_signal++) {
                        TaskUnderTest t;
                        int other;

                        harness_start(&t, "{}", configs[i], NULL);
                        other = harness_connect(&t);
                        harness_send(other, SUPERVISOR_PAUSE, 0, 0);
                        while (flags_of(t.fd) == 0)
                                ;
                        if (by_signal)
                                assert_int_equal(pidfd_signal(t.pidfd, SIGTERM), 0);
                        else
                                assert_int_equal(harness_call(t.fd, SUPERVISOR_STOP, SIGTERM,
                                                              UINT64_MAX, NULL),
                                                 0);
                        assert_int_equal(harness_reply(other, NULL),
                                         i == 0 ? 0 : CTR_FAILED_PRECONDITION);
                        harness_expect_record(&t, 7, NULL);
                        fd_close(other);
                        harness_clear(&t);
                }
}

/* What cannot be frozen goes on after 10 s; a new manager may wait for that instead of the first.
 */
static void test_unfreezable(void **state) {
        uint64_t begin = now_monotonic();
        TaskUnderTest t;
        int other;

        harness_start(&t, "{}", UNFREEZABLE, NULL);
        other = harness_connect(&t);
        harness_send(t.fd, SUPERVISOR_PAUSE, 0, 0);
        while (flags_of(other) != SUPERVISOR_STATE_PAUSING)
                ;
        assert_int_equal(harness_call(other, SUPERVISOR_PAUSE, 0, 0, NULL),
                         CTR_FAILED_PRECONDITION);
        t.fd = fd_close(t.fd);
        t.fd = harness_connect(&t);
        assert_int_equal(flags_of(t.fd), SUPERVISOR_STATE_PAUSING);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_PAUSE, 0, 0, NULL), CTR_DEADLINE_EXCEEDED);
        assert_true(now_monotonic() - begin >= 9 * USEC_PER_SEC);
        assert_int_equal(flags_of(t.fd), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        fd_close(other);
        harness_clear(&t);
}

/* Nobody may be left with a task that freezes after its resumption was asked for: a stop does, and
 * a manager that has given up waiting for the freezer. */
static void test_resume_while_pausing(void **state) {
        TaskUnderTest t;
        int other;

        harness_start(&t, "{}", UNFREEZABLE, NULL);
        other = harness_connect(&t);
        harness_send(t.fd, SUPERVISOR_PAUSE, 0, 0);
        while (flags_of(other) != SUPERVISOR_STATE_PAUSING)
                ;
        assert_int_equal(harness_call(other, SUPERVISOR_RESUME, 0, 0, NULL), 0);
        assert_int_equal(harness_reply(t.fd, NULL), CTR_FAILED_PRECONDITION);
        assert_int_equal(flags_of(t.fd), 0);
        assert_int_equal(harness_call(other, SUPERVISOR_RESUME, 0, 0, NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        fd_close(other);
        harness_clear(&t);
}

static void test_exec(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;

        harness_start(&t, "{}", WAITING, NULL);
        harness_exec(&t, "e", "{}", "{}", false);
        harness_exec_document(&t, "f", "{}", "{}");
        pause_task(&t);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_ADD, "f", &m),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(m.text, "paused"));
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL),
                         CTR_FAILED_PRECONDITION);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_RESUME, 0, 0, NULL), 0);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL), 0);
        harness_expect_exec_exited(t.fd, "e", 0);
        harness_clear(&t);
}

/* One process by its pid, if it is one of the payload's. */
static void test_signal_pid(void **state) {
        HarnessRequest q = {.type = SUPERVISOR_SIGNAL, .number = SIGTERM, .pid = getpid()};
        SupervisorMessage m;
        TaskUnderTest t;

        harness_start(&t, "{}", WAITING, NULL);
        assert_int_equal(harness_request(t.fd, &q, NULL), CTR_NOT_FOUND);
        q.pid = t.pid;
        assert_int_equal(harness_request(t.fd, &q, NULL), CTR_NOT_FOUND);
        q.pid = -1;
        assert_int_equal(harness_request(t.fd, &q, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        q.pid = m.pid;
        assert_int_equal(harness_request(t.fd, &q, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        harness_clear(&t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_pause_and_resume),
                        cmocka_unit_test(test_in_turns),
                        cmocka_unit_test(test_stop),
                        cmocka_unit_test(test_unfreezable),
                        cmocka_unit_test(test_exec),
                        cmocka_unit_test(test_signal_pid),
                        cmocka_unit_test(test_resume_while_pausing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
