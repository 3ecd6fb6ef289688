/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a process is in the unified hierarchy: the text of /proc/PID/cgroup, whoever wrote it. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "basic/cgroup.h"
#include "basic/fs.h"

static void test_text(void **state) {
        static const struct {
                const char *text, *path;
        } cases[] = {
                        {"0::/ctr.slice/ctr-x.scope/payload\n", "ctr.slice/ctr-x.scope/payload"},
                        {"0::/a", "a"},
                        {"0::/\n", ""},
                        {"12:pids:/x\n3:name=systemd:/y\n0::/z\n", "z"},
                        {"0::/z\n0::/other\n", "z"},
                        {"0::/a:b c\n", "a:b c"},
                        {"4:memory:/x\n\n0::/late\n", "late"},
                        /* a name that has dots, not a way out */
                        {"0::/a..b/..c/d../...\n", "a..b/..c/d../..."},
                        /* outside of our cgroup namespace */
                        {"0::/..\n", NULL},
                        {"0::/../x\n", NULL},
                        {"0::/../../x/y\n", NULL},
                        {"0::/a/../b\n", NULL},
                        {"0::/a/..\n", NULL},
                        /* no unified hierarchy, or nonsense */
                        {"", NULL},
                        {"\n", NULL},
                        {"0::relative\n", NULL},
                        {"10::/x\n", NULL},
                        {"1:name=0::/x:/y\n", NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].text);
                const char *path = cgroup_path_in(text);

                if (!streq_ptr(path, cases[i].path))
                        fail_msg("\"%s\": %s", cases[i].text, path ?: "nothing");
        }
}

static void test_process(void **state) {
        _cleanup_error_ Error e = ERROR_NULL, other = ERROR_NULL;
        _cleanup_free_ char *own = NULL, *same = NULL, *path = NULL;
        pid_t pid;
        int r;

        r = cgroup_path_of(0, &own, &e);
        /* a machine without the hierarchy, or a cgroup namespace that we were put out of */
        if (r == CTR_UNAVAILABLE)
                skip();
        assert_int_equal(r, 0);
        assert_int_equal(cgroup_path_of(getpid(), &same, &e), 0);
        assert_string_equal(own, same);

        pid = fork();
        if (pid == 0)
                _exit(0);
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        r = cgroup_path_of(pid, &path, &other);
        assert_true(r == -ENOENT || r == -ESRCH);
        assert_non_null(strstr(other.text, "/cgroup"));
        assert_null(path);
}

static void test_populated(void **state) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                        {"populated 1\nfrozen 0\n", 1}, {"populated 0\nfrozen 0\n", 0},
                        {"frozen 1\npopulated 0\n", 0}, {"frozen 0\n", -EBADMSG},
                        {"populated 10\n", -EBADMSG},   {"", -EBADMSG},
        };
        char dir[] = "/tmp/test-cgroup-XXXXXX";
        _cleanup_close_ int fd = -1, sub_fd = -1;

        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(cgroup_is_populated(fd, "a.slice/b.scope"), -ENOENT);
        sub_fd = dir_open_make_at(fd, "a.slice/b.scope", 0755);
        assert_true(sub_fd >= 0);
        assert_int_equal(cgroup_is_populated(fd, "a.slice/b.scope"), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(file_write_atomic_at(sub_fd, "cgroup.events", cases[i].text,
                                                      strlen(cases[i].text), 0644, 0),
                                 0);
                assert_int_equal(cgroup_is_populated(fd, "a.slice/b.scope"), cases[i].r);
        }
        assert_int_equal(tree_remove_at(AT_FDCWD, dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_text),
                        cmocka_unit_test(test_process),
                        cmocka_unit_test(test_populated),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
