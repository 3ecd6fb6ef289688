/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps of container.h out of order, interrupted, or in a cgroup. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "fixture.h"
#include "runtime/container.h"

static Container *new_container(Fixture *f, const int stdio[3]) {
        const ContainerParameters p = {
                        .config_dir_fd = f->dir_fd,
                        .config_name = "config.json",
                        .stdio = {stdio ? stdio[0] : -1, stdio ? stdio[1] : -1,
                                  stdio ? stdio[2] : -1},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = NULL;

        fixture_write(f);
        if (container_new(&p, &c, &e) != 0)
                fail_msg("%s", error_text(&e));
        return c;
}

static void enter(Container *c, int cgroup_fd) {
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd = -2;

        if (container_clone(c, -1, &e) != 0 ||
            container_enter(c, cgroup_fd, 30 * USEC_PER_SEC, &terminal_fd, &e) != 0)
                fail_msg("%s", error_text(&e));
        assert_int_equal(terminal_fd, -1);
}

static bool is_dead(int pidfd, int timeout_msec) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        return poll(&p, 1, timeout_msec) == 1;
}

static void test_free_at_each_step(void **state) {
        Fixture *f = *state;
        _cleanup_close_ int pidfd = -1;
        Container *c;

        container_free(NULL);
        container_free(new_container(f, NULL));
        c = new_container(f, NULL);
        assert_int_equal(container_clone(c, -1, NULL), 0);
        pidfd = fcntl(container_pidfd(c), F_DUPFD_CLOEXEC, 3);
        container_free(c);
        assert_true(is_dead(pidfd, 0));
        fd_close(pidfd);

        c = new_container(f, NULL);
        enter(c, -1);
        pidfd = fcntl(container_pidfd(c), F_DUPFD_CLOEXEC, 3);
        assert_false(is_dead(pidfd, 0));
        container_free(c);
        assert_true(is_dead(pidfd, 0));
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_waits_for_start(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        struct stat st;
        int status;

        fixture_set(f, "process.args", "[\"touch\", \"/started\"]");
        c = new_container(f, NULL);
        enter(c, -1);
        assert_true(container_pid(c) > 0);
        assert_false(is_dead(container_pidfd(c), 50));
        assert_int_equal(fstatat(f->root_fd, "started", &st, 0), -1);
        assert_int_equal(container_start(c, 30 * USEC_PER_SEC, &e), 0);
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        container_set_reaped(c);
        assert_int_equal(status, 0);
        assert_int_equal(fstatat(f->root_fd, "started", &st, 0), 0);
        assert_int_equal(container_start(c, USEC_PER_SEC, &e), CTR_FAILED_PRECONDITION);
}

/* Nobody waits: what is not known yet is said not to be, for as long as init takes. */
static void test_start_without_waiting(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        struct pollfd p = {.events = POLLIN};
        bool done = true;
        int status;

        fixture_file(f, "bin/garbage", "\177ELF and no more", 0755);
        fixture_set(f, "process.args", "[\"garbage\"]");
        c = new_container(f, NULL);
        enter(c, -1);
        assert_int_equal(container_start_fd(c), -1);
        assert_int_equal(pidfd_signal(container_pidfd(c), SIGSTOP), 0);
        assert_int_equal(container_start_begin(c, &e), 0);
        assert_int_equal(container_start_receive(c, &done, &e), 0);
        assert_false(done);
        assert_int_equal(container_start_begin(c, &e), CTR_FAILED_PRECONDITION);
        error_clear(&e);

        assert_int_equal(pidfd_signal(container_pidfd(c), SIGCONT), 0);
        p.fd = container_start_fd(c);
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(container_start_receive(c, &done, &e), CTR_COMMAND_NOT_EXECUTABLE);
        assert_true(done);
        assert_string_equal(error_text(&e),
                            "exec: Failed to execute /bin/garbage: Exec format error");
        assert_int_equal(container_start_fd(c), -1);
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        container_set_reaped(c);
        assert_int_equal(status, 126);
}

static void test_killed_before_start(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = new_container(f, NULL);
        _cleanup_error_ Error e = ERROR_NULL;
        int status;

        assert_int_equal(container_start(c, USEC_PER_SEC, &e), CTR_FAILED_PRECONDITION);
        error_clear(&e);
        enter(c, -1);
        assert_int_equal(pidfd_signal(container_pidfd(c), SIGKILL), 0);
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        container_set_reaped(c);
        assert_int_equal(status, 128 + SIGKILL);
        assert_int_equal(container_start(c, USEC_PER_SEC, &e), CTR_FAILED_PRECONDITION);
        assert_string_equal(error_text(&e), "Init died before it was started");
}

static void test_killed_before_enter(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = new_container(f, NULL);
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd;

        assert_int_equal(container_clone(c, -1, &e), 0);
        assert_int_equal(pidfd_signal(container_pidfd(c), SIGKILL), 0);
        assert_true(is_dead(container_pidfd(c), 10000));
        assert_true(container_enter(c, -1, USEC_PER_SEC, &terminal_fd, &e) < 0);
        assert_string_equal(error_text(&e), "Init died before it could set up the container");
}

static void test_timeout(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = new_container(f, NULL);
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd;

        assert_int_equal(container_clone(c, -1, &e), 0);
        assert_int_equal(pidfd_signal(container_pidfd(c), SIGSTOP), 0);
        assert_int_equal(container_enter(c, -1, 1000, &terminal_fd, &e), CTR_DEADLINE_EXCEEDED);
        assert_string_equal(error_text(&e), "Timed out waiting for init to set up the container");
}

/* The supervisor is killed at each step: init does not outlive it. A process of ours plays it, and
 * as its subreaper we get to see init's end. */
static void test_parent_killed(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.args", "[\"sleep\", \"1000\"]");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        for (int step = 0; step < 3; step++) {
                int fds[2], status;
                pid_t pid, init;

                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        Container *c = new_container(f, NULL);

                        if (step == 0)
                                assert_int_equal(container_clone(c, -1, NULL), 0);
                        else
                                enter(c, -1);
                        if (step == 2)
                                assert_int_equal(container_start(c, 30 * USEC_PER_SEC, NULL), 0);
                        init = container_pid(c);
                        if (write(fds[1], &init, sizeof(init)) != sizeof(init))
                                _exit(1);
                        for (;;)
                                (void) pause();
                }
                fd_close(fds[1]);
                assert_int_equal(read(fds[0], &init, sizeof(init)), sizeof(init));
                fd_close(fds[0]);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(waitpid(init, &status, 0), init);
                /* by the signal, or by the end of file on its socket if that came first */
                assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 125);
        }
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void test_cgroup(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int cgroup_fd = -1;
        int fds[2], status, stdio[3];
        char path[256], output[256];
        ssize_t n;

        cgroup_fd = fixture_make_cgroup(path);
        if (cgroup_fd < 0)
                skip();
        /* the root of the mount is the cgroup itself */
        fixture_script(f, "grep ^0: /proc/self/cgroup; read x < /sys/fs/cgroup/cgroup.procs;"
                          "echo $x; echo 1 > /sys/fs/cgroup/cgroup.freeze");
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        stdio[0] = -1;
        stdio[1] = stdio[2] = fds[1];
        c = new_container(f, stdio);
        enter(c, cgroup_fd);
        assert_int_equal(container_start(c, 30 * USEC_PER_SEC, &e), 0);
        fd_close(fds[1]);
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        container_set_reaped(c);
        assert_int_equal(rmdir(path), 0);
        n = read(fds[0], output, sizeof(output) - 1);
        assert_true(n > 0);
        output[n] = '\0';
        assert_string_equal(output, "0::/\n1\n/bin/sh: can't create /sys/fs/cgroup/cgroup.freeze: "
                                    "Read-only file system\n");
        fd_close(fds[0]);
}

static void test_bad_cgroup(void **state) {
        Fixture *f = *state;
        _cleanup_(container_freep) Container *c = new_container(f, NULL);
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd;

        assert_int_equal(container_clone(c, -1, &e), 0);
        assert_int_equal(container_enter(c, f->dir_fd, USEC_PER_SEC, &terminal_fd, &e), -ENOENT);
        assert_string_equal(error_text(&e), "Failed to open cgroup.procs of the payload: No such "
                                            "file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_free_at_each_step),
                        TEST(test_waits_for_start),
                        TEST(test_start_without_waiting),
                        TEST(test_killed_before_start),
                        TEST(test_killed_before_enter),
                        TEST(test_timeout),
                        TEST(test_parent_killed),
                        TEST(test_cgroup),
                        TEST(test_bad_cgroup),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
