/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execs that fail, are cut short or come in crowds, and the children that must not be left. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "exec-fixture.h"

static void test_missing_program(void **state) {
        ExecFixture *x = *state;

        exec_fixture_set(x, "args", "[\"/bin/missing\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_FOUND,
                            "exec: The command \"/bin/missing\" is not found");
        exec_fixture_set(x, "args", "[\"missing\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_FOUND,
                            "exec: The command \"missing\" is not found in PATH=/bin");
        fixture_file(x->f, "bin/script", "#!/bin/gone\n", 0755);
        exec_fixture_set(x, "args", "[\"script\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_FOUND, "exec: The interpreter \"/bin/gone\" of");
}

static void test_not_executable(void **state) {
        ExecFixture *x = *state;

        exec_fixture_set(x, "args", "[\"/etc/passwd\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_EXECUTABLE,
                            "exec: The command \"/etc/passwd\" cannot be executed: Permission");
        exec_fixture_set(x, "args", "[\"/etc\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_EXECUTABLE,
                            "exec: The command \"/etc\" cannot be executed: Permission");
        /* said by execve() in the sibling */
        fixture_file(x->f, "bin/garbage", "\177ELF and no more", 0755);
        exec_fixture_set(x, "args", "[\"garbage\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_EXECUTABLE,
                            "exec: Failed to execute /bin/garbage: Exec format error");
        /* CVE-2019-5736: the supervisor's binary is not for the container */
        fixture_link(x->f, "/proc/self/exe", "bin/self");
        exec_fixture_set(x, "args", "[\"/bin/self\"]");
        exec_expect_failure(x, CTR_COMMAND_NOT_FOUND, "exec: The command \"/bin/self\"");
}

static void test_bad_documents(void **state) {
        static const struct {
                const char *key, *value, *text;
                int code;
        } cases[] = {
                        {"args", "[]", "document: process.args", CTR_INVALID_ARGUMENT},
                        {"args", "\"ls\"", "document: process.args: expected",
                         CTR_INVALID_ARGUMENT},
                        {"cwd", "\"tmp\"", "document: process.cwd", CTR_INVALID_ARGUMENT},
                        {"user", "{\"uid\": -1}", "document: process.user.uid",
                         CTR_INVALID_ARGUMENT},
                        {"rlimits", "[{}]", "document: process.rlimits[0].type",
                         CTR_INVALID_ARGUMENT},
                        {"oomScoreAdj", "1001", "document: process.oomScoreAdj",
                         CTR_INVALID_ARGUMENT},
                        {"apparmorProfile", "\"x\"", "process: process.apparmorProfile",
                         CTR_NOT_IMPLEMENTED},
                        {"execCPUAffinity", "{\"initial\": \"x\"}",
                         "document: process.execCPUAffinity.initial", CTR_INVALID_ARGUMENT},
                        {"execCPUAffinity", "{\"initial\": \"1023\"}",
                         "process: Failed to set process.execCPUAffinity.initial", -EINVAL},
        };
        ExecFixture *x = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                json_t *old = json_deep_copy(x->process);

                exec_fixture_set(x, cases[i].key, cases[i].value);
                exec_expect_failure(x, cases[i].code, cases[i].text);
                json_decref(x->process);
                x->process = old;
        }
        exec_expect(x, "");
        assert_int_equal(unlinkat(x->f->dir_fd, "config.json", 0), 0);
        exec_expect_failure(x, -ENOENT, "document: Failed to read config.json: No such file");
}

static void test_dead_init(void **state) {
        ExecFixture *x = *state;
        struct pollfd p;

        exec_fixture_start(x);
        assert_int_equal(pidfd_signal(container_pidfd(x->container), SIGKILL), 0);
        p = (struct pollfd){.fd = container_pidfd(x->container), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        exec_expect_failure(x, CTR_FAILED_PRECONDITION,
                            "namespaces: The container's init is not running");
}

/* Init's end takes the exec with it, and waits for it (D10). */
static void test_init_dies(void **state) {
        ExecFixture *x = *state;
        _cleanup_(container_exec_freep) ContainerExec *exec = NULL;
        struct pollfd p;
        ContainerExecNews news;
        int status;

        exec_fixture_set(x, "args", "[\"sleep\", \"1000\"]");
        exec_fixture_start(x);
        assert_int_equal(exec_fixture_clone(x, "exec-a.json", -1, &exec, NULL), 0);
        assert_int_equal(exec_fixture_wait(exec, &news, NULL), 0);
        assert_int_equal(pidfd_signal(container_pidfd(x->container), SIGKILL), 0);
        p = (struct pollfd){.fd = container_pidfd(x->container), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 50), 0);
        assert_int_equal(pidfd_wait(news.pidfd, &status), 0);
        assert_int_equal(status, 128 + SIGKILL);
        assert_int_equal(poll(&p, 1, 60000), 1);
        fd_close(news.pidfd);
}

/* Freed later and later, until it had time to execute: nothing of it goes on. */
static void test_free_at_each_moment(void **state) {
        ExecFixture *x = *state;
        uint64_t until = now_monotonic() + 60 * USEC_PER_SEC;
        long delay_nsec = 0;
        struct stat st;

        container_exec_free(NULL);
        exec_fixture_set(x, "args", "[\"touch\", \"/started\"]");
        exec_fixture_start(x);
        while (fstatat(x->f->root_fd, "started", &st, 0) < 0) {
                ContainerExec *exec = NULL;
                struct timespec t = {.tv_nsec = delay_nsec};

                assert_int_equal(exec_fixture_clone(x, "exec-a.json", -1, &exec, NULL), 0);
                (void) nanosleep(&t, NULL);
                container_exec_free(exec);
                exec_fixture_reap(x);
                delay_nsec = MIN_OF(delay_nsec + 25000 + delay_nsec / 16, 999999999L);
                assert_true(now_monotonic() < until);
        }
}

/* Whoever reaps strangers asks first; the answer is right although nothing was received yet. */
static void test_owns(void **state) {
        ExecFixture *x = *state;
        _cleanup_(container_exec_freep) ContainerExec *exec = NULL;
        ContainerExecNews news;
        siginfo_t si = {};
        int status;

        exec_fixture_start(x);
        assert_int_equal(exec_fixture_clone(x, "exec-a.json", -1, &exec, NULL), 0);
        assert_false(container_exec_owns(exec, container_pid(x->container)));
        for (int i = 0; i < 2; i++) {
                assert_int_equal(waitid(P_ALL, 0, &si, WEXITED | WNOWAIT), 0);
                assert_true(container_exec_owns(exec, si.si_pid));
        }
        assert_int_equal(exec_fixture_wait(exec, &news, NULL), 0);
        assert_false(container_exec_owns(exec, news.pid));
        assert_int_equal(pidfd_wait(news.pidfd, &status), 0);
        assert_int_equal(status, 0);
        fd_close(news.pidfd);
        exec_fixture_reap(x);
}

/* A process that the caller has no descriptor for does not run on behind his back. */
static void test_no_descriptor_left(void **state) {
        ExecFixture *x = *state;
        _cleanup_(container_exec_freep) ContainerExec *exec = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        struct rlimit old, low;
        ContainerExecNews news;
        siginfo_t si = {};
        int r;

        exec_fixture_set(x, "args", "[\"sleep\", \"1000\"]");
        exec_fixture_start(x);
        assert_int_equal(exec_fixture_clone(x, "exec-a.json", -1, &exec, NULL), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = (struct rlimit){.rlim_cur = (rlim_t) fcntl(0, F_DUPFD_CLOEXEC, 3),
                              .rlim_max = old.rlim_max};
        fd_close((int) low.rlim_cur);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        r = exec_fixture_wait(exec, &news, &e);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        /* the stage may have been done before it was ended, and wait to be reaped, too */
        do {
                assert_int_equal(waitid(P_ALL, 0, &si, WEXITED), 0);
                assert_int_not_equal(si.si_pid, container_pid(x->container));
        } while (si.si_code == CLD_EXITED && si.si_status == 0);
        assert_int_equal(si.si_code, CLD_KILLED);
        assert_int_equal(si.si_status, SIGKILL);
}

static void test_crowd(void **state) {
        enum {
                N = 32
        };
        ExecFixture *x = *state;
        ContainerExec *exec[N] = {};
        int fds[2], status;
        char text[N + 1];

        exec_fixture_start(x);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        for (int i = 0; i < N; i++) {
                char name[32], script[64];

                (void) snprintf(name, sizeof(name), "exec-%d.json", i);
                (void) snprintf(script, sizeof(script), "echo -n x; exit %d", i);
                exec_fixture_script(x, script);
                assert_int_equal(exec_fixture_clone(x, name, fds[1], &exec[i], NULL), 0);
        }
        fd_close(fds[1]);
        for (int i = 0; i < N; i++) {
                ContainerExecNews news;

                assert_int_equal(exec_fixture_wait(exec[i], &news, NULL), 0);
                assert_int_equal(news.terminal_fd, -1);
                assert_int_equal(pidfd_wait(news.pidfd, &status), 0);
                assert_int_equal(status, i);
                fd_close(news.pidfd);
                container_exec_free(exec[i]);
        }
        for (size_t used = 0; used < N;) {
                ssize_t n = read(fds[0], text + used, sizeof(text) - used);

                assert_true(n > 0);
                used += (size_t) n;
        }
        assert_int_equal(read(fds[0], text, 1), 0);
        fd_close(fds[0]);
        exec_fixture_reap(x);
}

/* A container that may trace its processes sees none that has more capabilities, another mount
 * namespace or other descriptors than the programs that run in it (CVE-2016-9962). */
static void test_watched(void **state) {
        static const char capabilities[] = "{\"bounding\": [\"CAP_SYS_PTRACE\"],"
                                           " \"effective\": [\"CAP_SYS_PTRACE\"],"
                                           " \"permitted\": [\"CAP_SYS_PTRACE\"]}";
        ExecFixture *x = *state;
        _cleanup_free_ char *seen = NULL, *rounds = NULL;

        fixture_script(x->f,
                       "m=$(readlink /proc/self/ns/mnt);"
                       "while :; do echo -n x >>/tmp/rounds;"
                       " grep -h CapPrm: /proc/[0-9]*/status | grep -v 0000000000080000;"
                       " ls -l /proc/[0-9]*/ns/mnt | grep ' -> ' | grep -vF $m;"
                       " ls -l /proc/[0-9]*/fd | grep ' -> ' | grep -v -e ' /dev/null' -e pipe:"
                       " -e socket: -e pidfd -e ' /proc/' -e ' /tmp/';"
                       "done >/tmp/seen 2>/dev/null");
        fixture_set(x->f, "process.capabilities", capabilities);
        exec_fixture_set(x, "capabilities", capabilities);
        do {
                for (int i = 0; i < 50; i++)
                        exec_expect(x, "");
                free(TAKE_PTR(rounds));
                assert_int_equal(file_read_at(x->f->root_fd, "tmp/rounds", 65536, &rounds, NULL),
                                 0);
        } while (strlen(rounds) < 50);
        assert_int_equal(file_read_at(x->f->root_fd, "tmp/seen", 65536, &seen, NULL), 0);
        assert_string_equal(seen, "");
}

/* The supervisor is killed: its execs do not outlive it. */
static void test_parent_killed(void **state) {
        ExecFixture *x = *state;
        int fds[2], status;
        pid_t pid, child;

        exec_fixture_set(x, "args", "[\"sleep\", \"1000\"]");
        exec_fixture_set(x, "user", "{\"uid\": 1000, \"gid\": 1000}");
        exec_fixture_start(x);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                ContainerExec *exec = NULL;
                ContainerExecNews news;

                assert_int_equal(exec_fixture_clone(x, "exec-a.json", -1, &exec, NULL), 0);
                assert_int_equal(exec_fixture_wait(exec, &news, NULL), 0);
                if (write(fds[1], &news.pid, sizeof(news.pid)) != sizeof(news.pid))
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        fd_close(fds[1]);
        assert_int_equal(read(fds[0], &child, sizeof(child)), sizeof(child));
        fd_close(fds[0]);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exec_fixture_setup, exec_fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_missing_program),
                        TEST(test_not_executable),
                        TEST(test_bad_documents),
                        TEST(test_dead_init),
                        TEST(test_init_dies),
                        TEST(test_free_at_each_moment),
                        TEST(test_owns),
                        TEST(test_no_descriptor_left),
                        TEST(test_crowd),
                        TEST(test_watched),
                        TEST(test_parent_killed),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
