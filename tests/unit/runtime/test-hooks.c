/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Hooks of all points: what they are given, where and in which order they run, and what happens
 * when one fails, does not end or is not there. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "fixture.h"
#include "runtime/container.h"

#define WAIT_USEC (30 * USEC_PER_SEC)

/* A hook that is a shell script of the host; it finds its state on standard input. */
static void add_hook(Fixture *f, const char *point, const char *script, int timeout) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        json_t *hook;

        hook = json_pack("{s:s, s:[s,s,s], s:[s,s]}", "path", "/bin/sh", "args", "sh", "-c", script,
                         "env", "PATH=/bin:/usr/bin:/sbin:/usr/sbin", "HOOK=yes");
        assert_non_null(hook);
        if (timeout > 0)
                assert_int_equal(json_object_set_new(hook, "timeout", json_integer(timeout)), 0);
        text = json_dumps(hook, 0);
        json_decref(hook);
        (void) snprintf(path, sizeof(path), "hooks.%s", point);
        fixture_append(f, path, text);
}

/* The script appends a line to the file "log" beside the bundle. */
static void add_logger(Fixture *f, const char *point, const char *line) {
        char script[512];

        (void) snprintf(script, sizeof(script), "echo %s >> %s/log", line, f->dir);
        add_hook(f, point, script, 0);
}

static char *read_log(Fixture *f) {
        char *text = NULL;

        if (file_read_at(f->dir_fd, "log", 65536, &text, NULL) < 0)
                return strdup("");
        return text;
}

static void expect_log(Fixture *f, const char *expected) {
        _cleanup_free_ char *text = read_log(f);

        assert_string_equal(text, expected);
}

static Container *new_container(Fixture *f) {
        const ContainerParameters p = {
                        .config_dir_fd = f->dir_fd,
                        .config_name = "config.json",
                        .stdio = {-1, -1, -1},
                        .id = "box",
                        .bundle = f->dir,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = NULL;

        fixture_write(f);
        if (container_new(&p, &c, &e) != 0 || container_clone(c, -1, &e) != 0)
                fail_msg("%s", error_text(&e));
        return c;
}

static void run_late(Container *c, HookPoint point, int code, const char *part) {
        _cleanup_(hooks_freep) HooksRun *run = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        uint64_t deadline = now_monotonic() + WAIT_USEC;
        bool done = false;
        int r;

        assert_int_equal(container_hooks_begin(c, point, WAIT_USEC, &run, &e), 0);
        assert_non_null(run);
        for (r = 0; !done && r == 0;) {
                struct pollfd p = {.fd = hooks_fd(run), .events = POLLIN};

                assert_true(now_monotonic() < deadline);
                (void) poll(&p, 1, 1000);
                r = hooks_receive(run, &done, &e);
        }
        if (r != code || !strstr(error_text(&e), part))
                fail_msg("%d: %s", r, error_text(&e));
}

/* One life, with what each point is told. */
static void test_life(void **state) {
        static const char *const points[] = {"prestart", "createRuntime", "createContainer",
                                             "poststart", "poststop"};
        _cleanup_error_ Error e = ERROR_NULL;
        Fixture *f = *state;
        Container *c;
        int fd, status;

        for (size_t i = 0; i < ELEMENTSOF(points); i++) {
                char script[512];

                (void) snprintf(script, sizeof(script), "cat > %s/%s; echo %s $HOOK >> %s/log",
                                f->dir, points[i], points[i], f->dir);
                add_hook(f, points[i], script, 0);
        }
        fixture_append(f, "hooks.startContainer",
                       "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\","
                       " \"cat > /startContainer\"], \"env\": [\"PATH=/bin\"]}");
        fixture_set(f, "annotations", "{\"org.example.key\": \"value\"}");
        c = new_container(f);
        expect_log(f, "");
        if (container_enter(c, -1, WAIT_USEC, &fd, &e) != 0)
                fail_msg("%s", error_text(&e));
        expect_log(f, "prestart yes\ncreateRuntime yes\ncreateContainer yes\n");
        assert_int_equal(container_start(c, WAIT_USEC, &e), 0);
        run_late(c, HOOK_POSTSTART, 0, "");
        assert_int_equal(pidfd_wait(container_pidfd(c), &status), 0);
        assert_int_equal(status, 0);
        container_set_reaped(c);
        run_late(c, HOOK_POSTSTOP, 0, "");
        expect_log(f, "prestart yes\ncreateRuntime yes\ncreateContainer yes\npoststart yes\n"
                      "poststop yes\n");

        for (size_t i = 0; i < 6; i++) {
                static const char *const statuses[] = {"creating", "creating", "creating",
                                                       "running",  "stopped",  "created"};
                const char *name = i < 5 ? points[i] : "rootfs/startContainer";
                json_t *j = NULL;

                assert_int_equal(json_read_file_at(f->dir_fd, name, 65536, &j, &e), 0);
                assert_string_equal(json_string_value(json_object_get(j, "ociVersion")), "1.0.2");
                assert_string_equal(json_string_value(json_object_get(j, "id")), "box");
                assert_string_equal(json_string_value(json_object_get(j, "bundle")), f->dir);
                assert_string_equal(json_string_value(json_object_get(j, "status")), statuses[i]);
                assert_string_equal(
                                json_string_value(json_object_get(json_object_get(j, "annotations"),
                                                                  "org.example.key")),
                                "value");
                /* in the container as the container sees it, and none when there is none */
                assert_int_equal(json_integer_value(json_object_get(j, "pid")),
                                 i == 2 || i == 5 ? 1
                                 : i == 4         ? 0
                                                  : container_pid(c));
                json_decref(j);
        }
        container_free(c);
}

/* createRuntime sees the host and, by the pid, the container's mounts; createContainer has the
 * container's namespaces and the host's programs; startContainer has nothing of the host. */
static void test_namespaces(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *text = NULL;
        char expected[256];

        add_hook(f, "createRuntime", "hostname | grep -qv testbox && readlink /proc/self/ns/net",
                 0);
        add_hook(f, "createRuntime", "exit 0", 0);
        {
                char script[512];

                (void) snprintf(script, sizeof(script),
                                "test $(hostname) = testbox && test -d %s && test -d /proc/self && "
                                "test -d /var/tmp && echo inside >> %s/log",
                                f->dir, f->dir);
                add_hook(f, "createContainer", script, 0);
                (void) snprintf(script, sizeof(script),
                                "test ! -d %s && test $(hostname) = testbox"
                                " && echo more > /from-hook",
                                f->dir);
                fixture_append(f, "hooks.startContainer",
                               "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\","
                               " \"test ! -d /var/tmp && echo $(hostname) $(id -u) > /from-hook\"],"
                               " \"env\": [\"PATH=/bin\"]}");
        }
        fixture_script(f, "cat /from-hook");
        fixture_expect(f, "testbox 0\n");
        (void) snprintf(expected, sizeof(expected), "inside\n");
        text = read_log(f);
        assert_string_equal(text, expected);
}

/* A hook may still change what init has not left yet: here a mount below the root. */
static void test_mount_from_hook(void **state) {
        Fixture *f = *state;
        char script[512];

        fixture_directory(f, "extra", 0755);
        (void) snprintf(script, sizeof(script),
                        "mount -t tmpfs none %s/rootfs/extra 2>/dev/null; exit 0", f->dir);
        /* the host's view of the bundle is not the container's */
        add_hook(f, "createContainer", script, 0);
        fixture_script(f, "ls /extra; echo done");
        fixture_expect(f, "done\n");
}

static void test_failures(void **state) {
        static const struct {
                const char *point;
                Step step;
        } cases[] = {
                        {"prestart", STEP_ENTER},
                        {"createRuntime", STEP_ENTER},
                        {"createContainer", STEP_ENTER},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Outcome *o;
                char part[128];

                json_object_del(f->document, "hooks");
                add_logger(f, cases[i].point, "first");
                add_hook(f, cases[i].point, "echo some words; echo reason >&2; exit 3", 0);
                add_logger(f, cases[i].point, "never");
                o = fixture_run(f);
                (void) snprintf(part, sizeof(part),
                                "hooks: hooks.%s[1]: /bin/sh failed with status 3: some words\n"
                                "reason",
                                cases[i].point);
                assert_int_equal(o->failed, cases[i].step);
                assert_int_equal(o->code, CTR_FAILED_PRECONDITION);
                /* what comes from init is on one line */
                if (i == 2)
                        *strchr(part, '\n') = '?';
                assert_string_equal(o->error, part);
        }
        expect_log(f, "first\nfirst\nfirst\n");
}

static void test_start_container_fails(void **state) {
        Fixture *f = *state;

        fixture_append(f, "hooks.startContainer",
                       "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"exit 7\"]}");
        fixture_script(f, "touch /started");
        fixture_expect_failure(f, STEP_START, CTR_FAILED_PRECONDITION,
                               "hooks: hooks.startContainer[0]: /bin/sh failed with status 7");
        assert_int_equal(faccessat(f->root_fd, "started", F_OK, 0), -1);
        fixture_set(f, "hooks.startContainer", "[{\"path\": \"/bin/missing\"}]");
        fixture_expect_failure(f, STEP_START, CTR_FAILED_PRECONDITION,
                               "/bin/missing failed with status 127: No such file or directory");
}

/* With the program's rights and filter: the image's own program must not have more. */
static void test_start_container_rights(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.seccomp",
                    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\":"
                    " [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\"}]}");
        fixture_append(f, "hooks.startContainer",
                       "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\","
                       " \"grep -E '^(CapBnd|CapEff|Seccomp|NoNewPrivs):' /proc/self/status"
                       " > /status\"], \"env\": [\"PATH=/bin\"]}");
        for (int i = 0; i < 2; i++) {
                const Outcome *o;

                fixture_set(f, "process.noNewPrivileges", i ? "false" : "true");
                fixture_script(f, "grep -E '^(CapBnd|CapEff|Seccomp|NoNewPrivs):' /proc/self/status"
                                  " > /own; cat /status > /dev/null && ls -l /status | grep -q root"
                                  " && [ \"$(cat /own)\" = \"$(cat /status)\" ] && echo same;"
                                  " grep Seccomp: /status");
                o = fixture_run(f);
                if (o->failed != STEP_DONE)
                        fail_msg("%s", o->error);
                assert_string_equal(o->output, "same\nSeccomp:\t2\n");
        }
}

static void test_timeout(void **state) {
        Fixture *f = *state;
        const Outcome *o;

        /* what it has started goes with it */
        add_hook(f, "createRuntime", "sleep 1000 & sleep 1000", 1);
        o = fixture_run(f);
        assert_int_equal(o->failed, STEP_ENTER);
        assert_int_equal(o->code, CTR_DEADLINE_EXCEEDED);
        assert_string_equal(o->error, "hooks: hooks.createRuntime[0]: /bin/sh did not end in time");
        fixture_set(f, "hooks", "{}");
        fixture_append(f, "hooks.startContainer",
                       "{\"path\": \"/bin/sleep\", \"args\": [\"sleep\", \"1000\"],"
                       " \"timeout\": 1}");
        fixture_expect_failure(f, STEP_START, CTR_DEADLINE_EXCEEDED,
                               "hooks.startContainer[0]: /bin/sleep did not end in time");
}

/* One that forgets to close its output is not waited for, one that prints without end is read. */
static void test_output(void **state) {
        Fixture *f = *state;
        const Outcome *o;

        add_hook(f, "createRuntime", "sleep 1000 & exit 0", 0);
        add_hook(f, "createRuntime", "yes | head -c 3000000; echo; echo last; exit 1", 0);
        o = fixture_run(f);
        assert_int_equal(o->code, CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(o->error, "hooks.createRuntime[1]"));
        assert_true(strlen(o->error) < 1200);
        assert_string_equal(o->error + strlen(o->error) - 5, "\nlast");
}

static void test_late_failures(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        HooksRun *run = NULL;
        Fixture *f = *state;
        Container *c;
        int fd;

        add_hook(f, "poststart", "exit 4", 0);
        add_hook(f, "poststop", "exit 5", 0);
        c = new_container(f);
        /* it never was: nothing is to be told */
        assert_int_equal(container_hooks_begin(c, HOOK_POSTSTOP, WAIT_USEC, &run, &e), 0);
        assert_null(run);
        assert_int_equal(container_enter(c, -1, WAIT_USEC, &fd, &e), 0);
        assert_int_equal(container_start(c, WAIT_USEC, &e), 0);
        run_late(c, HOOK_POSTSTART, CTR_FAILED_PRECONDITION,
                 "hooks: hooks.poststart[0]: /bin/sh failed with status 4");
        container_kill(c);
        run_late(c, HOOK_POSTSTOP, CTR_FAILED_PRECONDITION, "hooks.poststop[0]");
        container_free(c);
}

/* Whoever frees it does not wait for what it runs. */
static void test_free_early(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        HooksRun *run = NULL;
        Fixture *f = *state;
        bool done = true;
        Container *c;
        int fd;

        add_hook(f, "poststart", "sleep 1000", 0);
        c = new_container(f);
        assert_int_equal(container_enter(c, -1, WAIT_USEC, &fd, &e), 0);
        assert_int_equal(container_start(c, WAIT_USEC, &e), 0);
        assert_int_equal(container_hooks_begin(c, HOOK_POSTSTART, WAIT_USEC, &run, &e), 0);
        assert_int_equal(hooks_receive(run, &done, &e), 0);
        assert_false(done);
        assert_null(hooks_free(run));
        container_free(c);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_life),
                        TEST(test_namespaces),
                        TEST(test_mount_from_hook),
                        TEST(test_failures),
                        TEST(test_start_container_fails),
                        TEST(test_start_container_rights),
                        TEST(test_timeout),
                        TEST(test_output),
                        TEST(test_late_failures),
                        TEST(test_free_early),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
