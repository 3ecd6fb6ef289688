/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Log programs (D30): scripts of the test's own, which get all of the output or are done without.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "task-harness.h"

typedef struct Directory {
        char path[64];
        int fd;
} Directory;

static int set_up(void **state) {
        static Directory d;

        strcpy(d.path, "/tmp/test-logger-XXXXXX");
        if (!mkdtemp(d.path))
                return -1;
        d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &d;
        return d.fd < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        Directory *d = *state;

        fd_close(d->fd);
        return tree_remove_at(AT_FDCWD, d->path);
}

/* A shell script in the directory; $0 tells it where that is. */
static void write_script(Directory *d, const char *name, const char *body) {
        char text[1024];

        (void) snprintf(text, sizeof(text), "#!/bin/sh\ncd \"${0%%/*}\"\n%s\n", body);
        assert_int_equal(file_write_atomic_at(d->fd, name, text, strlen(text), 0755, 0), 0);
}

static const char *stdio(const Directory *d, const char *scheme, const char *name, char buf[512]) {
        (void) snprintf(buf, 512,
                        "{\"stdout\":{\"kind\":\"binary\",\"path\":\"%s://%s/%s\"},"
                        "\"stderr\":{\"kind\":\"binary\",\"path\":\"%s://%s/%s\"}}",
                        scheme, d->path, name, scheme, d->path, name);
        return buf;
}

static const char *launch(const Directory *d, const char *scheme, const char *name, char buf[600]) {
        char streams[512];

        (void) snprintf(buf, 600, "{\"stdio\":%s}", stdio(d, scheme, name, streams));
        return buf;
}

static void assert_size(const Directory *d, const char *name, off_t size) {
        struct stat st;

        assert_int_equal(fstatat(d->fd, name, &st, 0), 0);
        assert_int_equal(st.st_size, size);
}

static void assert_content(const Directory *d, const char *name, const char *expected) {
        _cleanup_free_ char *data = NULL;

        assert_int_equal(file_read_at(d->fd, name, 65536, &data, NULL), 0);
        assert_string_equal(data, expected);
}

/* Both streams, arguments and environment, complete when the record is there. */
static void test_all_of_it(void **state) {
        Directory *d = *state;
        TaskUnderTest t;
        char buf[600];

        write_script(d, "log",
                     "echo \"$*|$CONTAINER_ID|$CONTAINER_NAMESPACE\" >arguments\n"
                     "ls /proc/self/fd | wc -l >descriptors\n"
                     "exec 5>&-\ncat <&4 >err &\ncat <&3 >out\nwait");
        harness_start(&t, launch(d, "binary", "log?a=b+%2fc&d", buf),
                      "{\"output\":1048576,\"error\":640,\"exit\":3}", NULL);
        harness_expect_record(&t, 3, NULL);
        assert_size(d, "out", 1048576);
        assert_size(d, "err", 640);
        assert_content(d, "arguments", "a b /c d |web|default\n");
        harness_clear(&t);
}

/* The terminal's output goes to one, too. */
static void test_terminal(void **state) {
        Directory *d = *state;
        char buf[700];
        TaskUnderTest t;

        write_script(d, "log", "echo ready >&5\nexec 5>&-\ncat <&3 >out");
        (void) snprintf(buf, sizeof(buf),
                        "{\"terminal\":true,\"stdio\":{\"stdout\":{\"kind\":\"binary\","
                        "\"path\":\"binary-v2://%s/log\"}}}",
                        d->path);
        harness_start(&t, buf, "{\"output\":640,\"terminal\":true}", NULL);
        harness_expect_record(&t, 0, NULL);
        assert_size(d, "out", 650);
        harness_clear(&t);
}

static void test_refused(void **state) {
        static const struct {
                const char *scheme, *name, *script;
                int code;
                const char *text;
        } cases[] = {
                        {"binary", "none", NULL, CTR_COMMAND_NOT_FOUND, "none"},
                        {"binary", "", NULL, CTR_COMMAND_NOT_EXECUTABLE, "Log program"},
                        {"binary", "log?%zz", NULL, CTR_INVALID_ARGUMENT, "malformed"},
                        {"binary", "log%00", NULL, CTR_INVALID_ARGUMENT, "malformed"},
                        /* it says nothing before it ends, or closes the pipe without a byte */
                        {"binary-v2", "log", "exit 0", CTR_UNAVAILABLE, "ready"},
                        {"binary-v2", "log", "exec 5>&-\ncat <&3", CTR_UNAVAILABLE, "ready"},
        };
        Directory *d = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SupervisorMessage m;
                TaskUnderTest t;
                char buf[600];

                if (cases[i].script)
                        write_script(d, "log", cases[i].script);
                harness_spawn(&t, launch(d, cases[i].scheme, cases[i].name, buf), "{}", NULL);
                harness_send(t.fd, SUPERVISOR_GO, 0, 0);
                assert_int_equal(harness_expect(t.fd, SUPERVISOR_FAILED, &m), cases[i].code);
                assert_non_null(strstr(m.text, cases[i].text));
                assert_int_equal(harness_wait(&t), 1);
                harness_clear(&t);
        }
}

/* It dies: the program runs on, and is not held up. */
static void test_dies(void **state) {
        Directory *d = *state;
        TaskUnderTest t;
        char buf[600];

        write_script(d, "log", "exec 5>&-\nexit 1");
        harness_start(&t, launch(d, "binary", "log", buf), "{\"output\":4194304,\"exit\":3}", NULL);
        harness_expect_record(&t, 3, NULL);
        harness_clear(&t);
}

/* It does not end at the end of its input: SIGTERM ends it, and the record does not wait long. */
static void test_stays(void **state) {
        Directory *d = *state;
        TaskUnderTest t;
        uint64_t begin;
        char buf[600];

        write_script(d, "log",
                     "trap 'echo terminated >end; exit 0' TERM\nexec 5>&-\n"
                     "while :; do sleep 0.1; done");
        harness_start(&t, launch(d, "binary", "log", buf), "{\"exit\":3}", NULL);
        begin = now_monotonic();
        harness_expect_record(&t, 3, NULL);
        assert_true(now_monotonic() - begin < 10 * USEC_PER_SEC);
        assert_content(d, "end", "terminated\n");
        harness_clear(&t);
}

/* SIGTERM does not end it: the record is written and told of after 10 s, SIGKILL comes later. */
static void test_ignores_sigterm(void **state) {
        Directory *d = *state;
        uint64_t begin = now_monotonic(), started, told;
        TaskUnderTest t;
        char buf[600];

        write_script(d, "log", "trap '' TERM\nexec 5>&-\nwhile :; do sleep 0.1; done");
        harness_start(&t, launch(d, "binary", "log", buf), "{\"exit\":3}", NULL);
        started = now_monotonic();
        assert_int_equal(harness_expect(t.fd, SUPERVISOR_EXITED, NULL), 0);
        told = now_monotonic();
        assert_true(told - begin > 9 * USEC_PER_SEC && told - started < 14 * USEC_PER_SEC);
        harness_expect_record(&t, 3, NULL);
        harness_clear(&t);
}

/* An exec's start waits for it without holding up anything else. */
static void test_exec(void **state) {
        Directory *d = *state;
        SupervisorMessage m;
        TaskUnderTest t;
        char buf[512];
        int other;

        write_script(d, "log",
                     "while [ ! -e go ]; do sleep 0.02; done\necho ready >&5\nexec 5>&-\n"
                     "cat <&3 >out");
        harness_start(&t, "{}", "{\"wait\":true}", NULL);
        harness_exec(&t, "e", "{\"output\":640,\"exit\":3}", stdio(d, "binary-v2", "log", buf),
                     false);
        other = harness_connect(&t);
        harness_send_request(other, &(HarnessRequest){.type = SUPERVISOR_EXEC_START, .text = "e"});
        do
                assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_STATE, "e", &m), 0);
        while (!(m.flags & SUPERVISOR_STATE_STARTING));
        assert_int_equal(file_write_atomic_at(d->fd, "go", "", 0, 0600, 0), 0);
        assert_int_equal(harness_reply(other, NULL), 0);
        harness_expect_exec_exited(t.fd, "e", 3);
        assert_size(d, "out", 640);

        /* one that never gets ready fails the start */
        write_script(d, "bad", "exit 1");
        harness_exec(&t, "f", "{}", stdio(d, "binary-v2", "bad", buf), false);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "f", &m), CTR_UNAVAILABLE);
        fd_close(other);
        harness_clear(&t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_all_of_it, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_terminal, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_dies, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_stays, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_ignores_sigterm, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_exec, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
