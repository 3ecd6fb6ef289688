/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a program reads and writes, straight and through a terminal: complete, never blocking the
 * supervisor, and never blocked by a client that went away. */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "task-harness.h"

#define FDS      "\"stdio\":{\"stdin\":{\"kind\":\"fd\"},\"stdout\":{\"kind\":\"fd\"}}"
#define TERMINAL "{\"terminal\":true," FDS "}"

/* Ends of the pipes that the client keeps. */
typedef struct Client {
        int in, out;
} Client;

static void client_make(Client *c, int streams[static 3]) {
        int in[2], out[2];

        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        streams[0] = in[0];
        streams[1] = out[1];
        streams[2] = -1;
        *c = (Client){.in = in[1], .out = out[0]};
}

/* Starts with both pipes and closes the ends that were given away. */
static void client_start(Client *c, TaskUnderTest *t, const char *launch, const char *config) {
        int streams[3];

        client_make(c, streams);
        harness_start(t, launch, config, streams);
        fd_close(streams[0]);
        fd_close(streams[1]);
}

static size_t read_to_end(int fd) {
        char buffer[65536];
        size_t size = 0;
        ssize_t n;

        for (;;) {
                struct pollfd pfd = {.fd = fd, .events = POLLIN};

                assert_int_equal(poll(&pfd, 1, 60000), 1);
                n = read(fd, buffer, sizeof(buffer));
                assert_true(n >= 0);
                if (n == 0)
                        return size;
                size += (size_t) n;
        }
}

static void test_straight(void **state) {
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, "{" FDS "}", "{\"output\":4194304}");
        assert_int_equal(read_to_end(c.out), 4194304);
        harness_expect_record(&t, 0, NULL);
        fd_close(c.in);
        fd_close(c.out);
        harness_clear(&t);
}

static void test_terminal_output(void **state) {
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, TERMINAL, "{\"output\":4194304,\"terminal\":true}");
        /* each line of 64 bytes got a carriage return */
        assert_int_equal(read_to_end(c.out), 4194304 / 64 * 65);
        harness_expect_record(&t, 0, NULL);
        fd_close(c.in);
        fd_close(c.out);
        harness_clear(&t);
}

static void test_terminal_input(void **state) {
        _cleanup_free_ char *data = NULL;
        SupervisorMessage m;
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, TERMINAL, "{\"cat\":true,\"terminal\":true,\"exit\":6}");
        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_int_equal(m.flags, SUPERVISOR_STATE_STARTED | SUPERVISOR_STATE_TERMINAL);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_RESIZE, 100, 0, NULL), 0);
        assert_int_equal(write(c.in, "hello\n.\n", 8), 8);
        fd_close(c.in);
        assert_int_equal(fd_read_all(c.out, 1000, &data, NULL), 0);
        assert_non_null(strstr(data, "hello\r\n"));
        harness_expect_record(&t, 6, NULL);
        fd_close(c.out);
        harness_clear(&t);
}

/* The end of the input reaches a program that reads lines, also within one. */
static void test_terminal_input_ended(void **state) {
        static const char *const inputs[] = {"hello\n", "hello", ""};

        for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
                _cleanup_free_ char *data = NULL;
                TaskUnderTest t;
                Client c;

                client_start(&c, &t, TERMINAL, "{\"cat\":true,\"terminal\":true,\"exit\":6}");
                assert_int_equal(write(c.in, inputs[i], strlen(inputs[i])), strlen(inputs[i]));
                fd_close(c.in);
                assert_int_equal(fd_read_all(c.out, 1000, &data, NULL), 0);
                if (inputs[i][0] != '\0')
                        assert_non_null(strstr(data, "hello"));
                harness_expect_record(&t, 6, NULL);
                fd_close(c.out);
                harness_clear(&t);
        }
}

/* Input that was closed on request neither ends nor disturbs the program. */
static void test_terminal_input_closed(void **state) {
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, TERMINAL, "{\"cat\":true,\"terminal\":true}");
        assert_int_equal(harness_call(t.fd, SUPERVISOR_CLOSE_STDIN, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_CLOSE_STDIN, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, 0, 0, NULL), 0);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_SIGNAL, SIGTERM, 0, NULL), 0);
        harness_expect_record(&t, 7, NULL);
        fd_close(c.in);
        fd_close(c.out);
        harness_clear(&t);
}

/* Nobody reads: the program waits, the supervisor does not. Then all of it arrives. */
static void test_terminal_slow_reader(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, TERMINAL, "{\"output\":1048576,\"terminal\":true}");
        for (int i = 0; i < 100; i++)
                assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_false(m.flags & SUPERVISOR_STATE_EXITED);
        assert_int_equal(read_to_end(c.out), 1048576 / 64 * 65);
        harness_expect_record(&t, 0, NULL);
        fd_close(c.in);
        fd_close(c.out);
        harness_clear(&t);
}

static void test_terminal_reader_gone(void **state) {
        TaskUnderTest t;
        Client c;

        client_start(&c, &t, TERMINAL, "{\"output\":4194304,\"terminal\":true,\"exit\":8}");
        fd_close(c.out);
        harness_expect_record(&t, 8, NULL);
        fd_close(c.in);
        harness_clear(&t);
}

/* The client's own descriptor must not change its mode under it. */
static void test_terminal_shares_no_flags(void **state) {
        int streams[3];
        TaskUnderTest t;
        Client c;

        client_make(&c, streams);
        harness_start(&t, TERMINAL, "{\"terminal\":true}", streams);
        assert_false(fcntl(streams[0], F_GETFL) & O_NONBLOCK);
        assert_false(fcntl(streams[1], F_GETFL) & O_NONBLOCK);
        harness_expect_record(&t, 0, NULL);
        fd_close(streams[0]);
        fd_close(streams[1]);
        fd_close(c.in);
        fd_close(c.out);
        harness_clear(&t);
}

/* A fifo outlives its clients: the second one goes on where the first one stopped (D26). */
static void test_fifo(void **state) {
        char dir[] = "/tmp/test-stdio-XXXXXX", in[64], out[64], launch[256], buffer[64];
        int client_in, client_out;
        TaskUnderTest t;

        assert_non_null(mkdtemp(dir));
        (void) snprintf(in, sizeof(in), "%s/in", dir);
        (void) snprintf(out, sizeof(out), "%s/out", dir);
        (void) snprintf(launch, sizeof(launch),
                        "{\"stdio\":{\"stdin\":{\"kind\":\"fifo\",\"path\":\"%s\"},"
                        "\"stdout\":{\"kind\":\"fifo\",\"path\":\"%s\"}}}",
                        in, out);
        assert_int_equal(mkfifo(in, 0600), 0);
        assert_int_equal(mkfifo(out, 0600), 0);
        harness_start(&t, launch, "{\"cat\":true}", NULL);
        for (int i = 0; i < 2; i++) {
                client_in = open(in, O_WRONLY | O_CLOEXEC);
                client_out = open(out, O_RDONLY | O_CLOEXEC);
                assert_int_equal(write(client_in, "hello\n", 6), 6);
                fd_close(client_in);
                assert_int_equal(read(client_out, buffer, sizeof(buffer)), 6);
                fd_close(client_out);
        }
        assert_int_equal(harness_call(t.fd, SUPERVISOR_CLOSE_STDIN, 0, 0, NULL), 0);
        harness_expect_record(&t, 0, NULL);
        harness_clear(&t);
        assert_int_equal(tree_remove_at(AT_FDCWD, dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_straight),
                        cmocka_unit_test(test_terminal_output),
                        cmocka_unit_test(test_terminal_input),
                        cmocka_unit_test(test_terminal_input_ended),
                        cmocka_unit_test(test_terminal_input_closed),
                        cmocka_unit_test(test_terminal_slow_reader),
                        cmocka_unit_test(test_terminal_reader_gone),
                        cmocka_unit_test(test_terminal_shares_no_flags),
                        cmocka_unit_test(test_fifo),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
