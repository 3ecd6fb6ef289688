/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * SCMP_ACT_NOTIFY with an agent of the test's: what it is sent, that its answers are what the
 * program gets, and that nothing runs when it cannot be reached. The profiles hold back what the
 * runtime itself needs on its last way, too.
 */

#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "exec-fixture.h"

#define STATE_MAX 8192
#define TOLD      "told" /* what was sent, complete when it is there */

typedef struct Agent {
        char path[100];
        int dir_fd; /* for the file TOLD */
        int listen_fd;
        pid_t pid;
} Agent;

/* Everything up to the end of file, which has to come; the descriptor with the first part. */
static int receive(int fd, char *buf, size_t size) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = {.iov_base = buf, .iov_len = size - 1};
        struct msghdr m = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
        };
        size_t used = 0;
        int listener_fd;
        ssize_t n;

        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (n <= 0 || control.header.cmsg_type != SCM_RIGHTS)
                return -1;
        memcpy(&listener_fd, CMSG_DATA(&control.header), sizeof(int));
        for (used = (size_t) n; used < size - 1; used += (size_t) n) {
                n = read(fd, buf + used, size - 1 - used);
                if (n <= 0)
                        break;
        }
        buf[used] = '\0';
        return n == 0 ? listener_fd : -1;
}

/* mkdir gets EXDEV, all else goes on, until nobody is left under the filter. */
static void serve(int listener_fd) {
        for (;;) {
                struct seccomp_notif request = {};
                struct seccomp_notif_resp response = {};
                bool refused;

                if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) {
                        if (errno == EINTR)
                                continue;
                        return;
                }
                refused = request.data.nr == SYS_mkdirat
#ifdef SYS_mkdir
                          || request.data.nr == SYS_mkdir
#endif
                                ;
                response.id = request.id;
                response.error = refused ? -EXDEV : 0;
                response.flags = refused ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
                if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
                        return;
        }
}

/* One connection after the other; one that sends nothing as it should is noted as well. */
_noreturn_ static void agent_run(const Agent *a) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                char text[STATE_MAX] = "";
                int fd, listener_fd;

                fd = accept(a->listen_fd, NULL, NULL);
                if (fd < 0)
                        _exit(1);
                listener_fd = receive(fd, text, sizeof(text));
                if (listener_fd < 0)
                        (void) snprintf(text, sizeof(text), "not sent as it should be");
                if (file_write_atomic_at(a->dir_fd, TOLD, text, strlen(text), 0600, 0) < 0)
                        _exit(1);
                if (listener_fd >= 0 && fork() == 0) {
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        serve(listener_fd);
                        _exit(0);
                }
                fd_close(listener_fd);
                fd_close(fd);
        }
}

static void agent_start(Agent *a, const Fixture *f) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        (void) snprintf(a->path, sizeof(a->path), "%s/agent", f->dir);
        a->dir_fd = f->dir_fd;
        strcpy(address.sun_path, a->path);
        a->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(a->listen_fd >= 0);
        assert_int_equal(bind(a->listen_fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(a->listen_fd, 8), 0);
        a->pid = fork();
        assert_true(a->pid >= 0);
        if (a->pid == 0)
                agent_run(a);
}

/* Its children die with it. */
static void agent_stop(Agent *a) {
        assert_int_equal(kill(a->pid, SIGKILL), 0);
        assert_int_equal(waitpid(a->pid, NULL, 0), a->pid);
        fd_close(a->listen_fd);
}

/* What it was sent, which it has noted before it let the program go on. */
static json_t *agent_told(const Agent *a) {
        _cleanup_free_ char *text = NULL;
        json_t *j;

        assert_int_equal(file_read_at(a->dir_fd, TOLD, STATE_MAX, &text, NULL), 0);
        j = json_loads(text, 0, NULL);
        if (!j)
                fail_msg("%s", text);
        return j;
}

static const char *text_of(json_t *j, const char *key) {
        return json_string_value(json_object_get(j, key));
}

static void set_profile(Fixture *f, const Agent *a, const char *names) {
        json_t *profile = json_pack("{s:s, s:s, s:s, s:[s, s], s:[{s:o, s:s}]}", "defaultAction",
                                    "SCMP_ACT_ALLOW", "listenerPath", a->path, "listenerMetadata",
                                    "meta, data", "flags", "SECCOMP_FILTER_FLAG_TSYNC",
                                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "syscalls", "names",
                                    json_loads(names, 0, NULL), "action", "SCMP_ACT_NOTIFY");

        assert_non_null(profile);
        assert_int_equal(json_object_set_new(json_object_get(f->document, "linux"), "seccomp",
                                             profile),
                         0);
}

/* All that the runtime calls between the filter and the program, and the program itself. */
#define EVERYTHING                                                                                 \
        "[\"mkdir\", \"mkdirat\", \"execve\", \"sendmsg\", \"write\", \"close\", \"prctl\","       \
        " \"capset\", \"futex\", \"exit\", \"sched_yield\"]"

static void test_agent(void **state) {
        Fixture *f = *state;
        json_t *told, *container;
        Agent a;

        agent_start(&a, f);
        set_profile(f, &a, EVERYTHING);
        fixture_set(f, "annotations", "{\"a\": \"b\"}");
        fixture_script(f, "mkdir /x; echo $?; mkdir /tmp/y 2>/dev/null || ls -d /tmp/y 2>&1");
        assert_string_equal(fixture_run(f)->error, "");
        assert_string_equal(fixture_run(f)->output,
                            "mkdir: can't create directory '/x': Invalid cross-device link\n1\n"
                            "ls: /tmp/y: No such file or directory\n");
        told = agent_told(&a);
        assert_string_equal(text_of(told, "ociVersion"), "1.0.2");
        assert_string_equal(text_of(told, "metadata"), "meta, data");
        assert_int_equal(json_array_size(json_object_get(told, "fds")), 1);
        assert_string_equal(json_string_value(json_array_get(json_object_get(told, "fds"), 0)),
                            "seccompFd");
        container = json_object_get(told, "state");
        assert_string_equal(text_of(container, "status"), "created");
        assert_string_equal(text_of(json_object_get(container, "annotations"), "a"), "b");
        /* as the host has it, and not the 1 that it is in its namespace */
        assert_true(json_integer_value(json_object_get(told, "pid")) > 1);
        assert_int_equal(json_integer_value(json_object_get(told, "pid")),
                         json_integer_value(json_object_get(container, "pid")));
        json_decref(told);

        /* with capabilities that the filter's loading needs, and which go after it */
        fixture_set(f, "process.noNewPrivileges", "false");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_script(f, "grep -E 'Seccomp:|CapEff' /proc/self/status; mkdir /tmp/x");
        assert_string_equal(fixture_run(f)->output,
                            "CapEff:\t0000000000000000\nSeccomp:\t2\n"
                            "mkdir: can't create directory '/tmp/x': Invalid cross-device link\n");
        agent_stop(&a);
}

/* The start fails, and can be tried again. */
static void test_unreachable(void **state) {
        Fixture *f = *state;
        const ContainerParameters p = {
                        .config_dir_fd = f->dir_fd,
                        .config_name = "config.json",
                        .stdio = {-1, -1, -1},
        };
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd, status;
        Agent a;

        (void) snprintf(a.path, sizeof(a.path), "%s/agent", f->dir);
        set_profile(f, &a, "[\"mkdir\"]");
        fixture_write(f);
        assert_int_equal(container_new(&p, &c, &e), 0);
        assert_int_equal(container_clone(c, -1, &e), 0);
        assert_int_equal(container_enter(c, -1, UINT64_MAX, &terminal_fd, &e), 0);
        assert_int_equal(container_start(c, UINT64_MAX, &e), CTR_UNAVAILABLE);
        assert_non_null(strstr(error_text(&e), "linux.seccomp.listenerPath: Failed to connect to"));
        agent_start(&a, f);
        assert_int_equal(container_start(c, UINT64_MAX, &e), 0);
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        container_set_reaped(c);
        assert_int_equal(status, 0);
        agent_stop(&a);
}

/* Without such an action nobody needs to listen. */
static void test_ignored(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.seccomp",
                    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/none\"}");
        fixture_expect(f, "");
}

static void test_refused(void **state) {
        static const struct {
                const char *profile;
                int code;
                const char *part;
        } cases[] = {
                        {"{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}", CTR_INVALID_ARGUMENT,
                         "linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs it"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.listenerPath is missing"},
                        {"{\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"listenerPath\": \"x\"}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.listenerPath: not an absolute path"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"x\"}",
                         CTR_INVALID_ARGUMENT,
                         "linux.seccomp.listenerMetadata: needs linux.seccomp.listenerPath"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": 1}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.listenerPath: expected a string"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fixture_set(f, "linux.seccomp", cases[i].profile);
                fixture_expect_failure(f, STEP_NEW, cases[i].code, cases[i].part);
        }
        fixture_set(f, "linux.seccomp",
                    "{\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"listenerPath\": \"/x\"}");
        fixture_set(f, "hooks", "{\"startContainer\": [{\"path\": \"/bin/true\"}]}");
        fixture_expect_failure(f, STEP_NEW, CTR_NOT_IMPLEMENTED,
                               "hooks.startContainer: not together with SCMP_ACT_NOTIFY");
}

static void test_exec(void **state) {
        ExecFixture *x = *state;
        json_t *told, *container;
        const ExecOutcome *o;
        Agent a;

        agent_start(&a, x->f);
        set_profile(x->f, &a, EVERYTHING);
        exec_fixture_start(x);
        exec_fixture_script(x, "mkdir /x; echo $?");
        /* also the second one is not of what the first one stored */
        for (int i = 0; i < 2; i++) {
                o = exec_run(x);
                assert_string_equal(o->error, "");
                assert_string_equal(o->output, "mkdir: can't create directory '/x': Invalid "
                                               "cross-device link\n1\n");
                told = agent_told(&a);
                container = json_object_get(told, "state");
                assert_int_equal(json_integer_value(json_object_get(told, "pid")), o->pid);
                assert_int_equal(json_integer_value(json_object_get(container, "pid")),
                                 container_pid(x->container));
                assert_string_equal(text_of(container, "status"), "running");
                json_decref(told);
        }
        assert_int_equal(unlink(a.path), 0);
        o = exec_run(x);
        assert_int_equal(o->code, CTR_UNAVAILABLE);
        assert_non_null(strstr(o->error, "process: linux.seccomp.listenerPath: Failed to connect"));
        x->container = container_free(x->container);
        agent_stop(&a);
        exec_fixture_reap(x);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_agent),
                        TEST(test_unreachable),
                        TEST(test_ignored),
                        TEST(test_refused),
                        cmocka_unit_test_setup_teardown(test_exec, exec_fixture_setup,
                                                        exec_fixture_teardown),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
