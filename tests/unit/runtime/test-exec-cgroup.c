/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The cgroup that a further process in a container is born in, or moves into. */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "exec-fixture.h"
#include "runtime/cgroup.h"

static char payload_path[256];

static int setup(void **state) {
        ExecFixture *x;
        int r;

        r = exec_fixture_setup(state);
        x = *state;
        x->cgroup_fd = fixture_make_cgroup(payload_path);
        exec_fixture_set(x, "args", "[\"grep\", \"^0:\", \"/proc/self/cgroup\"]");
        return r;
}

static int teardown(void **state) {
        ExecFixture *x = *state;
        bool made = x->cgroup_fd >= 0;

        x->container = container_free(x->container);
        if (made) {
                (void) unlinkat(x->cgroup_fd, "sub", AT_REMOVEDIR);
                assert_int_equal(rmdir(payload_path), 0);
        }
        return exec_fixture_teardown(state);
}

static void need_cgroup(ExecFixture *x) {
        if (x->cgroup_fd < 0)
                skip();
        exec_fixture_start(x);
}

static int write_file(int cgroup_fd, const char *name, const char *text) {
        _cleanup_close_ int fd = openat(cgroup_fd, name, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd_write_all(fd, text, strlen(text));
}

/* Makes sub below the payload and moves init there. */
static void move_init(ExecFixture *x) {
        char pid[16];

        assert_int_equal(mkdirat(x->cgroup_fd, "sub", 0755), 0);
        (void) snprintf(pid, sizeof(pid), "%d", container_pid(x->container));
        assert_int_equal(write_file(x->cgroup_fd, "sub/cgroup.procs", pid), 0);
}

/* Of the whole payload, which is the root of the cgroup namespace, wherever init is in it. */
static void test_in_payload(void **state) {
        ExecFixture *x = *state;

        need_cgroup(x);
        for (unsigned i = 0; i < 4; i++) {
                x->moves = i % 2;
                if (i == 2)
                        move_init(x);
                exec_expect(x, "0::/\n");
        }
}

/* No process may be in the payload itself: what a systemd in the container makes of it. */
static void test_inner_node(void **state) {
        ExecFixture *x = *state;
        _cleanup_free_ char *controllers = NULL;
        char enable[64];

        need_cgroup(x);
        move_init(x);
        assert_int_equal(file_read_at(x->cgroup_fd, "cgroup.controllers", 4096, &controllers, NULL),
                         0);
        if (controllers[strspn(controllers, "\n")] == '\0')
                skip(); /* no controller, no inner node */
        (void) snprintf(enable, sizeof(enable), "+%.*s", (int) strcspn(controllers, " \n"),
                        controllers);
        assert_int_equal(write_file(x->cgroup_fd, "cgroup.subtree_control", enable), 0);
        exec_expect(x, "0::/sub\n");
        x->moves = true;
        exec_expect(x, "0::/sub\n");
        enable[0] = '-';
        assert_int_equal(write_file(x->cgroup_fd, "cgroup.subtree_control", enable), 0);
}

static void test_open_of(void **state) {
        ExecFixture *x = *state;
        _cleanup_close_ int fd = -1, sub_fd = -1;
        _cleanup_error_ Error e = ERROR_NULL;
        struct stat st, wanted;

        need_cgroup(x);
        assert_int_equal(cgroup_open_of(x->cgroup_fd, container_pid(x->container), &fd, &e), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(fstat(x->cgroup_fd, &wanted), 0);
        assert_int_equal(st.st_ino, wanted.st_ino);
        move_init(x);
        fd = fd_close(fd);
        assert_int_equal(cgroup_open_of(x->cgroup_fd, container_pid(x->container), &fd, &e), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(fstatat(x->cgroup_fd, "sub", &wanted, 0), 0);
        assert_int_equal(st.st_ino, wanted.st_ino);

        sub_fd = openat(x->cgroup_fd, "sub", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(sub_fd >= 0);
        assert_int_equal(cgroup_open_of(sub_fd, getpid(), &fd, &e), -EXDEV);
        assert_non_null(strstr(error_text(&e), "is not below"));
}

static void test_removed(void **state) {
        ExecFixture *x = *state;
        int payload_fd;

        need_cgroup(x);
        assert_int_equal(mkdirat(x->cgroup_fd, "sub", 0755), 0);
        payload_fd = x->cgroup_fd;
        x->cgroup_fd = openat(payload_fd, "sub", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(x->cgroup_fd >= 0);
        assert_int_equal(unlinkat(payload_fd, "sub", AT_REMOVEDIR), 0);
        exec_expect_failure(x, CTR_FAILED_PRECONDITION, "The container's cgroup is gone");
        fd_close(x->cgroup_fd);
        x->cgroup_fd = payload_fd;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_in_payload),
                        TEST(test_inner_node),
                        TEST(test_open_of),
                        TEST(test_removed),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
