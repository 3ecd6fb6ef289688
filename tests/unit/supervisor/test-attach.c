/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that come and go while a program runs: all of the output, no end of the input before it
 * is asked for (D26), and neither a slow client nor one that is gone in anybody's way. */

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "task-harness.h"

#define ATTACH                                                                                     \
        "{\"stdin\":{\"kind\":\"attach\"},\"stdout\":{\"kind\":\"attach\"},"                       \
        "\"stderr\":{\"kind\":\"attach\"}}"
#define LAUNCH "{\"stdio\":" ATTACH "}"
#define TERMINAL                                                                                   \
        "{\"terminal\":true,\"stdio\":{\"stdin\":{\"kind\":\"attach\"},"                           \
        "\"stdout\":{\"kind\":\"attach\"}}}"
#define IN  SUPERVISOR_ATTACH_STDIN
#define OUT SUPERVISOR_ATTACH_STDOUT
#define ERR SUPERVISOR_ATTACH_STDERR

static int attach_fds(TaskUnderTest *t, const char *id, unsigned flags, const int *fds,
                      size_t n_fds) {
        HarnessRequest q = {.type = SUPERVISOR_ATTACH, .text = id, .flags = flags, .n_fds = n_fds};

        memcpy(q.fds, fds, n_fds * sizeof(int));
        return harness_request(t->fd, &q, NULL);
}

/* Makes a pipe for a stream, attaches one end and returns the other. */
static int attach(TaskUnderTest *t, const char *id, unsigned flag) {
        int fds[2], own = flag == IN ? 1 : 0;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(attach_fds(t, id, flag, &fds[1 - own], 1), 0);
        fd_close(fds[1 - own]);
        return fds[own];
}

static void wait_for(int fd) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&pfd, 1, 60000), 1);
}

static void expect_text(int fd, const char *text) {
        char buffer[256];
        size_t n = 0;

        while (n < strlen(text)) {
                ssize_t k;

                wait_for(fd);
                k = read(fd, buffer + n, strlen(text) - n);
                assert_true(k > 0);
                n += (size_t) k;
        }
        assert_memory_equal(buffer, text, n);
}

static size_t read_to_end(int fd) {
        static char buffer[1 << 20];
        size_t size = 0;
        ssize_t n;

        do {
                wait_for(fd);
                n = read(fd, buffer, sizeof(buffer));
                assert_true(n >= 0);
                size += (size_t) n;
        } while (n > 0);
        return size;
}

static void write_text(int fd, const char *text) {
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Detach and attach again, any number of times: no end of file, nothing left behind. */
static void test_detach_and_attach(void **state) {
        static const char *const launches[] = {LAUNCH, TERMINAL};
        static const char *const configs[] = {"{\"cat\":true}", "{\"cat\":true,\"terminal\":true}"};

        for (size_t k = 0; k < ELEMENTSOF(launches); k++) {
                TaskUnderTest t;
                int in, out;
                size_t n_fds;

                harness_start(&t, launches[k], configs[k], NULL);
                n_fds = harness_count_fds(&t);
                for (int i = 0; i < 50; i++) {
                        in = attach(&t, "", IN);
                        out = attach(&t, "", OUT);
                        write_text(in, "hello\n");
                        expect_text(out, k == 0 ? "hello\n" : "hello\r\nhello\r\n");
                        fd_close(in);
                        fd_close(out);
                }
                while (harness_count_fds(&t) != n_fds)
                        assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, NULL), 0);
                in = attach(&t, "", IN);
                write_text(in, ".\n");
                harness_expect_record(&t, 0, NULL);
                fd_close(in);
                harness_clear(&t);
        }
}

/* The end of the input: asked for first or last, with a line still on its way. */
static void test_close_stdin(void **state) {
        static const char *const launches[] = {LAUNCH, TERMINAL};
        static const char *const configs[] = {"{\"cat\":true,\"exit\":6}",
                                              "{\"cat\":true,\"terminal\":true,\"exit\":6}"};

        for (size_t k = 0; k < ELEMENTSOF(launches); k++)
                for (int first = 0; first < 2; first++) {
                        TaskUnderTest t;
                        int in, out, pair[2];

                        harness_start(&t, launches[k], configs[k], NULL);
                        in = attach(&t, "", IN);
                        out = attach(&t, "", OUT);
                        write_text(in, "last words\n");
                        if (!first)
                                in = fd_close(in);
                        assert_int_equal(harness_call(t.fd, SUPERVISOR_CLOSE_STDIN, 0, 0, NULL), 0);
                        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
                        if (first)
                                /* nobody may come any more, this one may still write */
                                assert_int_equal(attach_fds(&t, "", IN, pair, 1),
                                                 CTR_FAILED_PRECONDITION);
                        fd_close(pair[0]);
                        fd_close(pair[1]);
                        expect_text(out, "last words");
                        fd_close(in);
                        harness_expect_record(&t, 6, NULL);
                        fd_close(out);
                        harness_clear(&t);
                }
}

/* Everybody gets all of it, and the end when the program has ended. */
static void test_several_readers(void **state) {
        int out[3], err;
        TaskUnderTest t;

        harness_create(&t, LAUNCH, "{\"output\":6400,\"error\":640}", NULL);
        for (size_t i = 0; i < ELEMENTSOF(out); i++)
                out[i] = attach(&t, "", OUT);
        err = attach(&t, "", ERR);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(out); i++) {
                assert_int_equal(read_to_end(out[i]), 6400);
                fd_close(out[i]);
        }
        assert_int_equal(read_to_end(err), 640);
        fd_close(err);
        harness_expect_record(&t, 0, NULL);
        harness_clear(&t);
}

/* 100 MiB, unharmed, through a pipe and through a socket. */
static void test_large_output(void **state) {
        for (int k = 0; k < 2; k++) {
                uint64_t begin = now_monotonic();
                TaskUnderTest t;
                int out, pair[2];

                harness_create(&t, LAUNCH, "{\"output\":104857600}", NULL);
                if (k == 0)
                        out = attach(&t, "", OUT);
                else {
                        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                                         0);
                        assert_int_equal(attach_fds(&t, "", OUT, &pair[0], 1), 0);
                        fd_close(pair[0]);
                        out = pair[1];
                }
                assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
                assert_int_equal(read_to_end(out), 104857600);
                print_message("100 MiB through a %s: %u ms\n", k == 0 ? "pipe" : "socket",
                              (unsigned) ((now_monotonic() - begin) / USEC_PER_MSEC));
                fd_close(out);
                harness_expect_record(&t, 0, NULL);
                harness_clear(&t);
        }
}

/* Nobody is attached: the program does not wait for anybody. */
static void test_nobody(void **state) {
        TaskUnderTest t;

        harness_start(&t, LAUNCH, "{\"output\":4194304,\"error\":4194304,\"exit\":3}", NULL);
        harness_expect_record(&t, 3, NULL);
        harness_clear(&t);
        harness_start(&t, TERMINAL, "{\"output\":1048576,\"terminal\":true,\"exit\":3}", NULL);
        harness_expect_record(&t, 3, NULL);
        harness_clear(&t);
}

/* One that does not read holds up its own program and nobody else; one that is gone is dropped. */
static void test_slow_and_vanished(void **state) {
        SupervisorMessage m;
        TaskUnderTest t;
        int slow, gone;

        harness_create(&t, LAUNCH, "{\"output\":4194304,\"exit\":3}", NULL);
        gone = attach(&t, "", OUT);
        slow = attach(&t, "", OUT);
        fd_close(gone);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(harness_call(t.fd, SUPERVISOR_HELLO, 0, 0, &m), 0);
        assert_false(m.flags & SUPERVISOR_STATE_EXITED);
        assert_int_equal(read_to_end(slow), 4194304);
        fd_close(slow);
        harness_expect_record(&t, 3, NULL);
        harness_clear(&t);
}

/* One that never reads the last output does not hold up the end for more than 10 s (D14). */
static void test_never_reads(void **state) {
        uint64_t begin;
        TaskUnderTest t;
        int out;

        harness_create(&t, LAUNCH, "{\"output\":100000,\"exit\":3}", NULL);
        out = attach(&t, "", OUT);
        begin = now_monotonic();
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        harness_expect_record(&t, 3, NULL);
        assert_true(now_monotonic() - begin > 9 * USEC_PER_SEC);
        fd_close(out);
        harness_clear(&t);
}

/* A child that an exec leaves behind keeps its streams: they are not waited for. */
static void test_left_behind(void **state) {
        uint64_t begin;
        TaskUnderTest t;
        int out;

        harness_start(&t, LAUNCH, "{\"wait\":true}", NULL);
        harness_exec(&t, "e", "{\"leave\":true,\"output\":640,\"exit\":3}", ATTACH, false);
        out = attach(&t, "e", OUT);
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL), 0);
        begin = now_monotonic();
        assert_int_equal(read_to_end(out), 640);
        harness_expect_exec_exited(t.fd, "e", 3);
        assert_true(now_monotonic() - begin < 10 * USEC_PER_SEC);
        fd_close(out);
        harness_clear(&t);
}

static void test_exec(void **state) {
        TaskUnderTest t;
        int in, out, before;

        harness_start(&t, "{}", "{\"wait\":true}", NULL);
        harness_exec(&t, "e", "{\"cat\":true,\"terminal\":true,\"exit\":3}",
                     "{\"stdin\":{\"kind\":\"attach\"},\"stdout\":{\"kind\":\"attach\"}}", false);
        before = attach(&t, "e", OUT);
        in = attach(&t, "e", IN);
        write_text(in, "early\n");
        assert_int_equal(harness_about(t.fd, SUPERVISOR_EXEC_START, "e", NULL), 0);
        expect_text(before, "early\r\nearly\r\n");
        out = attach(&t, "e", OUT);
        write_text(in, ".\n");
        expect_text(out, ".\r\n");
        harness_expect_exec_exited(t.fd, "e", 3);
        assert_true(read_to_end(before) > 0);
        assert_int_equal(read_to_end(out), 0);
        assert_int_equal(attach_fds(&t, "e", OUT, &out, 1), CTR_FAILED_PRECONDITION);
        fd_close(in);
        fd_close(out);
        fd_close(before);
        harness_clear(&t);
}

/* A program that closes its streams: readers see the end at once, writers that nobody reads. */
static void test_program_closes(void **state) {
        TaskUnderTest t;
        int in, out;

        harness_create(&t, LAUNCH, "{\"close\":true,\"wait\":true}", NULL);
        in = attach(&t, "", IN);
        out = attach(&t, "", OUT);
        assert_int_equal(harness_call(t.fd, SUPERVISOR_START, 0, 0, NULL), 0);
        assert_int_equal(read_to_end(out), 0);
        {
                struct pollfd pfd = {.fd = in, .events = POLLIN};

                assert_int_equal(poll(&pfd, 1, 60000), 1);
                assert_true(pfd.revents & POLLERR);
        }
        fd_close(in);
        fd_close(out);
        harness_clear(&t);
}

/* What cannot be attached, and to what. Nothing of it is kept. */
static void test_refused(void **state) {
        int pair[2], null_fd, path_fd, file_fd;
        TaskUnderTest t;
        size_t n_fds;

        harness_start(&t, "{\"stdio\":{\"stdout\":{\"kind\":\"attach\"}}}", "{\"wait\":true}",
                      NULL);
        n_fds = harness_count_fds(&t);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        path_fd = open("/dev/tty", O_PATH | O_CLOEXEC);
        file_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_int_equal(attach_fds(&t, "", IN, &pair[0], 1), CTR_FAILED_PRECONDITION);
        assert_int_equal(attach_fds(&t, "", ERR, &pair[1], 1), CTR_FAILED_PRECONDITION);
        assert_int_equal(attach_fds(&t, "", OUT | ERR, pair, 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", 0, pair, 0), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", 8, pair, 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", OUT, &pair[0], 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", OUT, &null_fd, 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", OUT, &path_fd, 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "", OUT, &file_fd, 1), CTR_INVALID_ARGUMENT);
        assert_int_equal(attach_fds(&t, "none", OUT, &pair[1], 1), CTR_NOT_FOUND);
        assert_int_equal(harness_count_fds(&t), n_fds);

        for (int i = 0; i < 16; i++)
                assert_int_equal(attach_fds(&t, "", OUT, &pair[1], 1), 0);
        assert_int_equal(attach_fds(&t, "", OUT, &pair[1], 1), CTR_RESOURCE_EXHAUSTED);
        fd_close(pair[0]);
        fd_close(pair[1]);
        fd_close(null_fd);
        fd_close(path_fd);
        fd_close(file_fd);
        harness_clear(&t);
}

/* A client's terminal as it is, and its mode stays as it was. */
static void test_client_terminal(void **state) {
        int master, slave, fds[2];
        TaskUnderTest t;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        harness_start(&t, LAUNCH, "{\"cat\":true,\"exit\":3}", NULL);
        fds[0] = fds[1] = slave;
        assert_int_equal(attach_fds(&t, "", IN | OUT, fds, 2), 0);
        assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
        write_text(master, "hi\n");
        expect_text(master, "hi\r\nhi\r\n");
        write_text(master, ".\n");
        harness_expect_record(&t, 3, NULL);
        fd_close(slave);
        fd_close(master);
        harness_clear(&t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_detach_and_attach),
                        cmocka_unit_test(test_close_stdin),
                        cmocka_unit_test(test_several_readers),
                        cmocka_unit_test(test_large_output),
                        cmocka_unit_test(test_nobody),
                        cmocka_unit_test(test_slow_and_vanished),
                        cmocka_unit_test(test_never_reads),
                        cmocka_unit_test(test_left_behind),
                        cmocka_unit_test(test_exec),
                        cmocka_unit_test(test_program_closes),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_client_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
