/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The packets between manager and supervisor: what is sent comes back, what is malformed does not
 * get in, and no descriptor leaks either way. */

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "supervisor/protocol.h"

#define HEAD_SIZE offsetof(SupervisorMessage, text)

static int set_up(void **state) {
        static int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -1;
        *state = pair;
        return 0;
}

static int tear_down(void **state) {
        int *pair = *state;

        fd_close(pair[0]);
        fd_close(pair[1]);
        return 0;
}

static unsigned count_fds(void) {
        _cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        return n;
}

static void test_round_trip(void **state) {
        SupervisorMessage in = {.type = SUPERVISOR_STOP,
                                .id = 7,
                                .code = -5,
                                .flags = 3,
                                .number = -2,
                                .number2 = 80,
                                .pid = 4711,
                                .usec = UINT64_MAX},
                          out;
        int *pair = *state;

        for (size_t n = 0; n < SUPERVISOR_MESSAGE_TEXT_MAX; n += n < 4 ? 1 : 999) {
                memset(in.text, 'x', n);
                in.text[n] = '\0';
                assert_int_equal(supervisor_message_send(pair[0], &in, NULL, 0), 0);
                memset(&out, 0xff, sizeof(out));
                assert_int_equal(supervisor_message_receive(pair[1], &out, NULL), 1);
                assert_memory_equal(&in, &out, HEAD_SIZE + n + 1);
        }
        assert_int_equal(supervisor_message_receive(pair[1], &out, NULL), -EAGAIN);
        pair[0] = fd_close(pair[0]);
        assert_int_equal(supervisor_message_receive(pair[1], &out, NULL), 0);
        assert_int_equal(supervisor_message_send(pair[1], &in, NULL, 0), -EPIPE);
}

static void test_fds(void **state) {
        SupervisorMessage in = {.type = SUPERVISOR_START}, out;
        int *pair = *state, fds[SUPERVISOR_MESSAGE_FDS_MAX], many[SUPERVISOR_MESSAGE_FDS_MAX];
        unsigned before = count_fds();

        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = STDIN_FILENO;

        for (size_t n = 0; n <= SUPERVISOR_MESSAGE_FDS_MAX; n++) {
                assert_int_equal(supervisor_message_send(pair[0], &in, many, n), 0);
                assert_int_equal(supervisor_message_receive(pair[1], &out, fds), 1);
                for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                        assert_true((fds[i] >= 0) == (i < n));
                        fd_close(fds[i]);
                }
        }
        /* nobody wants them: closed */
        assert_int_equal(supervisor_message_send(pair[0], &in, many, 2), 0);
        assert_int_equal(supervisor_message_receive(pair[1], &out, NULL), 1);
        assert_int_equal(count_fds(), before);
}

/* Sends raw bytes with n_fds descriptors, as a client could. */
static void send_raw(int fd, const void *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(16 * sizeof(int))];
        } control = {};
        struct iovec iov = {.iov_base = (void *) data, .iov_len = size};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        assert_true(n_fds <= 16);
        if (n_fds > 0) {
                struct cmsghdr *c;

                mh.msg_control = &control;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&mh);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                /* descriptor 0, n times */
                memset(CMSG_DATA(c), 0, n_fds * sizeof(int));
        }
        assert_int_equal(sendmsg(fd, &mh, 0), size);
}

static void test_malformed(void **state) {
        struct {
                SupervisorMessage m;
                char more[64];
        } raw = {.m = {.type = SUPERVISOR_HELLO, .text = "abc"}};
        const struct {
                size_t size, n_fds;
                uint32_t reserved;
        } cases[] = {
                        {1, 0, 0},              /* less than a head */
                        {HEAD_SIZE, 0, 0},      /* no text at all */
                        {HEAD_SIZE + 3, 0, 0},  /* text without its NUL */
                        {HEAD_SIZE + 5, 0, 0},  /* something behind the NUL */
                        {HEAD_SIZE + 4, 0, 1},  /* reserved */
                        {sizeof(raw), 0, 0},    /* too long */
                        {HEAD_SIZE + 4, 5, 0},  /* too many descriptors */
                        {HEAD_SIZE + 4, 16, 0}, /* far too many */
                        {HEAD_SIZE, 3, 0},      /* descriptors in a bad packet */
        };
        int *pair = *state, fds[SUPERVISOR_MESSAGE_FDS_MAX];
        unsigned before = count_fds();
        SupervisorMessage out;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                raw.m.reserved = cases[i].reserved;
                send_raw(pair[0], &raw, cases[i].size, cases[i].n_fds);
                assert_int_equal(supervisor_message_receive(pair[1], &out, fds), -EBADMSG);
                for (size_t k = 0; k < ELEMENTSOF(fds); k++)
                        assert_int_equal(fds[k], -1);
                assert_int_equal(count_fds(), before);
        }
        raw.m.reserved = 0;
        send_raw(pair[0], &raw, HEAD_SIZE + 4, 0);
        assert_int_equal(supervisor_message_receive(pair[1], &out, fds), 1);
}

/* A peer that does not read is noticed and not waited for. */
static void test_full_queue(void **state) {
        SupervisorMessage m = {.type = SUPERVISOR_OOM};
        int *pair = *state, r = 0;

        for (unsigned i = 0; i < 100000 && r == 0; i++)
                r = supervisor_message_send(pair[0], &m, NULL, 0);
        assert_int_equal(r, -EAGAIN);
}

/* What a peer had to say is heard although it left with something of ours unread: FAILED, when it
 * crosses with GO. */
static void test_left_unread(void **state) {
        SupervisorMessage last = {.type = SUPERVISOR_FAILED, .text = "the reason"}, m;
        int *pair = *state;

        assert_int_equal(supervisor_message_send(pair[1], &last, NULL, 0), 0);
        assert_int_equal(supervisor_message_send(pair[0],
                                                 &(SupervisorMessage){.type = SUPERVISOR_GO}, NULL,
                                                 0),
                         0);
        pair[1] = fd_close(pair[1]);
        assert_int_equal(supervisor_message_receive(pair[0], &m, NULL), 1);
        assert_int_equal(m.type, SUPERVISOR_FAILED);
        assert_string_equal(m.text, "the reason");
        assert_int_equal(supervisor_message_receive(pair[0], &m, NULL), 0);
}

/* As many execs as a task may have: each is asked for and ends while the other side is busy. */
static void test_many(void **state) {
        SupervisorMessage m = {.type = SUPERVISOR_EXEC_EXITED};
        int *pair = *state;

        if (geteuid() != 0)
                skip();
        memset(m.text, 'x', 76);
        for (size_t end = 0; end < 2; end++) {
                assert_int_equal(supervisor_socket_set_up(pair[end]), 0);
                for (size_t i = 0; i < 4096; i++)
                        assert_int_equal(supervisor_message_send(pair[end], &m, NULL, 0), 0);
        }
        pair[1] = fd_close(pair[1]);
        assert_int_equal(supervisor_socket_set_up(-1), -EBADF);
}

static void test_set_error(void **state) {
        _cleanup_error_ Error e = ERROR_NULL, lengthy = ERROR_NULL;
        char text[SUPERVISOR_MESSAGE_TEXT_MAX * 2];
        SupervisorMessage m = {.text = "old"};

        supervisor_message_set_error(&m, 0, NULL);
        assert_int_equal(m.code, 0);
        assert_string_equal(m.text, "");
        supervisor_message_set_error(&m, -ENOENT, NULL);
        assert_int_equal(m.code, -ENOENT);
        assert_string_equal(m.text, "No such file or directory");
        assert_int_equal(error_setf(&e, CTR_CONFLICT, "why"), CTR_CONFLICT);
        supervisor_message_set_error(&m, CTR_CONFLICT, &e);
        assert_int_equal(m.code, CTR_CONFLICT);
        assert_string_equal(m.text, "why");

        /* three bytes each: the cut falls inside one */
        for (size_t i = 0; i + 3 < sizeof(text); i += 3)
                memcpy(text + i, "\xe2\x82\xac", 4);
        assert_int_equal(error_setf(&lengthy, CTR_UNKNOWN, "%s", text), CTR_UNKNOWN);
        supervisor_message_set_error(&m, CTR_UNKNOWN, &lengthy);
        assert_int_equal(strlen(m.text) % 3, 0);
        assert_true(strlen(m.text) >= SUPERVISOR_MESSAGE_TEXT_MAX - 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fds, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_full_queue, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_left_unread, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
                        cmocka_unit_test(test_set_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
