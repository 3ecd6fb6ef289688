/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The leaf helpers: identifiers, strv, JSON getters, atomic files, tree removal, processes. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/base64.h"
#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "basic/utf8.h"

static int temp_dir(char *path) {
        strcpy(path, "/tmp/test-basic-XXXXXX");
        assert_non_null(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_identifier(void **state) {
        static const struct {
                const char *id;
                bool valid;
        } cases[] = {
                        {"a", true},    {"web-1", true}, {"a.b_c-d", true},   {"", false},
                        {"-a", false},  {"a-", false},   {"a..b", false},     {"a/b", false},
                        {"a b", false}, {"..", false},   {"\xc3\xa4", false}, {"A9", true},
        };
        char longest[IDENTIFIER_MAX + 2];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(identifier_is_valid(cases[i].id), cases[i].valid);

        memset(longest, 'x', sizeof(longest));
        longest[IDENTIFIER_MAX] = '\0';
        assert_true(identifier_is_valid(longest));
        longest[IDENTIFIER_MAX] = 'x';
        longest[IDENTIFIER_MAX + 1] = '\0';
        assert_false(identifier_is_valid(longest));
}

static void test_identifier_errors(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(identifier_validate("a/b", "container id", &e), CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.text, "container id \"a/b\""));
        error_clear(&e);
        assert_int_equal(namespace_validate("", &e), CTR_FAILED_PRECONDITION);
        error_clear(&e);
        assert_int_equal(namespace_validate("version", &e), CTR_INVALID_ARGUMENT);
        error_clear(&e);
        assert_int_equal(namespace_validate("default", &e), 0);
}

static void test_unit_name(void **state) {
        _cleanup_free_ char *ns = NULL, *id = NULL, *ns2 = NULL, *id2 = NULL;
        char buf[UNIT_NAME_SIZE];

        assert_string_equal(unit_name_from_identifier("default", "web", buf), "ctr-web.scope");
        assert_int_equal(unit_name_to_identifier(buf, &ns, &id), 0);
        assert_string_equal(ns, "default");
        assert_string_equal(id, "web");
        assert_string_equal(unit_name_from_identifier("k8s.io", "a-b", buf),
                            "ctr-k8s.io:a-b.scope");
        assert_int_equal(unit_name_to_identifier(buf, &ns2, &id2), 0);
        assert_string_equal(ns2, "k8s.io");
        assert_string_equal(id2, "a-b");
        assert_int_equal(unit_name_to_identifier("ctr.service", &ns2, &id2), -EINVAL);
        assert_int_equal(unit_name_to_identifier("ctr-.scope", &ns2, &id2), -EINVAL);
}

static void test_error(void **state) {
        _cleanup_error_ Error e = ERROR_NULL, other = ERROR_NULL;

        assert_int_equal(error_setf(&e, -ENOENT, "Failed to open %s: %m", "x"), -ENOENT);
        assert_string_equal(error_text(&e), "Failed to open x: No such file or directory");
        assert_int_equal(error_setf(&e, CTR_CONFLICT, "later"), CTR_CONFLICT);
        assert_int_equal(e.code, -ENOENT);
        assert_int_equal(error_prefix(&e, -EIO, "Mount"), -ENOENT);
        assert_string_equal(error_text(&e), "Mount: Failed to open x: No such file or directory");
        assert_int_equal(error_move(&other, &e), -ENOENT);
        assert_int_equal(e.code, 0);
        assert_int_equal(error_propagate(&e, -EIO, &other), -ENOENT);
        assert_int_equal(error_propagate(&other, -ENOMEM, &(Error){}), -ENOMEM);
        assert_int_equal(other.code, 0);
        assert_int_equal(error_code_for_client(-ENOSPC), CTR_RESOURCE_EXHAUSTED);
        assert_int_equal(error_code_for_client(-EEXIST), CTR_UNKNOWN);
        for (int i = 1; i < _CTR_ERROR_MAX; i++)
                assert_int_equal(error_code_from_string(error_code_to_string(i)), i);
}

static void test_utf8(void **state) {
        static const struct {
                const char *text, *repaired;
        } cases[] = {
                        {"", ""},
                        {"plain", "plain"},
                        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
                        {"a\xc3", "a?"},                   /* cut */
                        {"\xe2\x82", "??"},                /* cut */
                        {"\xc3\"x\"", "?\"x\""},           /* cut, and more behind it */
                        {"\xff\xfe\x80z", "???z"},         /* none of it is a beginning */
                        {"\xc0\xaf\xe0\x80\xaf", "?????"}, /* longer than need be */
                        {"\xed\xa0\x80", "???"},           /* a surrogate */
                        {"\xf4\x90\x80\x80", "????"},      /* above U+10FFFF */
                        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].text);

                assert_int_equal(utf8_is_valid(text), streq(text, cases[i].repaired));
                assert_string_equal(utf8_repair(text), cases[i].repaired);
                assert_true(utf8_is_valid(text));
        }
        assert_null(utf8_repair(NULL));
}

/* A text goes into messages that nothing else than UTF-8 can be in. */
static void test_error_cut(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(error_setf(&e, CTR_NOT_FOUND, "no \"%.4s\"", "a\xe2\x82\xac\xe2\x82\xac"),
                         CTR_NOT_FOUND);
        assert_string_equal(error_text(&e), "no \"a\xe2\x82\xac\"");
        error_clear(&e);
        assert_int_equal(error_setf(&e, CTR_NOT_FOUND, "no \"%.3s\"", "a\xe2\x82\xac\xe2\x82\xac"),
                         CTR_NOT_FOUND);
        assert_int_equal(error_prefix(&e, -EIO, "in %s", "\xff"), CTR_NOT_FOUND);
        assert_string_equal(error_text(&e), "in ?: no \"a??\"");
}

static void test_strv_env(void **state) {
        _cleanup_strv_free_ char **l = NULL;

        assert_int_equal(strv_env_assign(&l, "A=1"), 0);
        assert_int_equal(strv_env_assign(&l, "AB=2"), 0);
        assert_int_equal(strv_env_assign(&l, "A=3"), 0);
        assert_string_equal(strv_env_get(l, "A"), "3");
        assert_string_equal(strv_env_get(l, "AB"), "2");
        assert_int_equal(strv_length(l), 2);
        assert_int_equal(strv_env_assign(&l, "A"), 0);
        assert_null(strv_env_get(l, "A"));
        assert_int_equal(strv_length(l), 1);
        assert_int_equal(strv_env_assign(&l, "NOTHERE"), 0);
        assert_int_equal(strv_length(l), 1);
}

static void test_printable(void **state) {
        static const struct {
                const char *text, *printable;
        } cases[] = {
                        {"", ""},
                        {"a b~", "a b~"},
                        {"a\nb\x1b[1m\t\x7f", "a?b?[1m??"},
                        {"\xc2\x9b[1m\xc2\xa0", "??[1m\xc2\xa0"},
                        {"\xc3\xa4\xff\n", "\xc3\xa4??"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[32];

                strcpy(text, cases[i].text);
                utf8_make_printable(text);
                assert_string_equal(text, cases[i].printable);
        }
}

static void test_json(void **state) {
        static const char text[] = "{\"s\": \"x\", \"n\": 7, \"l\": [\"a\", \"b\"], \"z\": null}";
        _cleanup_strv_free_ char **l = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        const char *s = NULL;
        json_t *bad = NULL;
        int64_t n = 0;

        assert_int_equal(json_parse(text, strlen(text), "test", &j, &e), 0);
        assert_int_equal(json_get_string(j, "", "s", &s, &e), 1);
        assert_string_equal(s, "x");
        assert_int_equal(json_get_string(j, "", "z", &s, &e), 0);
        assert_int_equal(json_get_int64(j, "a.b", "n", 0, 7, &n, &e), 1);
        assert_int_equal(n, 7);
        assert_int_equal(json_get_strv(j, "", "l", 2, &l, &e), 1);
        assert_string_equal(l[1], "b");
        assert_int_equal(json_get_int64(j, "a.b", "n", 0, 6, &n, &e), -EBADMSG);
        assert_string_equal(e.text, "a.b.n: 7 is not between 0 and 6");
        error_clear(&e);
        assert_int_equal(json_get_string(j, "a.b", "n", &s, &e), -EBADMSG);
        assert_string_equal(e.text, "a.b.n: expected a string");
        error_clear(&e);
        assert_int_equal(json_get_strv(j, "", "l", 1, &l, &e), -EBADMSG);
        error_clear(&e);
        assert_int_equal(json_parse("{\"a\":1,\"a\":2}", 13, "test", &bad, &e),
                         CTR_INVALID_ARGUMENT);
        assert_null(bad);
}

static void test_json_strv(void **state) {
        static const char *const strings[] = {"a", "", "\xc3\xa4\"\n", NULL},
                                 *const wrong[] = {"a", "\xff", NULL};
        _cleanup_json_ json_t *j = json_from_strv((char *const *) strings),
                              *none = json_from_strv(NULL);
        _cleanup_free_ char *text = NULL;

        assert_int_equal(json_to_text(j, &text), 0);
        assert_string_equal(text, "[\"a\",\"\",\"\xc3\xa4\\\"\\n\"]");
        assert_true(json_is_array(none) && json_array_size(none) == 0);
        assert_null(json_from_strv((char *const *) wrong));
}

static void test_atomic_file(void **state) {
        _cleanup_free_ char *data = NULL, *again = NULL;
        _cleanup_close_ int fd = -1;
        char path[64];
        size_t size;

        fd = temp_dir(path);
        assert_int_equal(file_write_atomic_at(fd, "f", "one", 3, 0600, FILE_WRITE_SYNC), 0);
        assert_int_equal(file_write_atomic_at(fd, "f", "three", 5, 0600, 0), 0);
        assert_int_equal(file_read_at(fd, "f", 5, &data, &size), 0);
        assert_int_equal(size, 5);
        assert_string_equal(data, "three");
        assert_int_equal(file_read_at(fd, "f", 4, &again, NULL), -EFBIG);
        assert_int_equal(file_read_at(fd, "none", 4, &again, NULL), -ENOENT);
        assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
        assert_int_equal(file_read_at(fd, "fifo", 4, &again, NULL), -EBADF);
        assert_int_equal(symlinkat("f", fd, "link"), 0);
        assert_int_equal(file_read_at(fd, "link", 5, &again, NULL), -ELOOP);
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
}

static void test_path_next(void **state) {
        static const struct {
                const char *path, *parts[4];
        } cases[] = {
                        {"", {}},
                        {"/", {}},
                        {"///", {}},
                        {"a", {"a"}},
                        {"/a", {"a"}},
                        {"a/", {"a"}},
                        {"a/b", {"a", "b"}},
                        {"//a///b//", {"a", "b"}},
                        {"./../.a", {".", "..", ".a"}},
        };
        char part[NAME_MAX + 1], longest[NAME_MAX + 4];
        const char *p;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                p = cases[i].path;
                for (size_t k = 0; cases[i].parts[k]; k++) {
                        assert_int_equal(path_next(&p, part), 1);
                        assert_string_equal(part, cases[i].parts[k]);
                        /* what is left tells whether this one is the last */
                        assert_int_equal(*p == '\0', !cases[i].parts[k + 1]);
                }
                assert_int_equal(path_next(&p, part), 0);
        }

        memset(longest, 'x', sizeof(longest));
        longest[NAME_MAX] = '/';
        longest[NAME_MAX + 2] = '\0';
        p = longest;
        assert_int_equal(path_next(&p, part), 1);
        assert_int_equal(strlen(part), NAME_MAX);
        assert_int_equal(path_next(&p, part), 1);
        assert_string_equal(part, "x");
        longest[NAME_MAX] = 'x';
        p = longest;
        assert_int_equal(path_next(&p, part), -ENAMETOOLONG);
}

static void test_tree_remove(void **state) {
        _cleanup_close_ int fd = -1, outside = -1;
        char path[64], other[64];

        fd = temp_dir(path);
        outside = temp_dir(other);
        assert_int_equal(file_write_atomic_at(outside, "keep", "x", 1, 0600, 0), 0);

        /* deeper than PATH_MAX, and with a symbolic link that leads outside */
        fd_close(dir_open_make_at(fd, "doomed/a/b", 0700));
        assert_int_equal(symlinkat(other, fd, "doomed/a/link"), 0);
        for (int i = 0, current = dup(fd); i < 3000; i++) {
                int next;

                if (i == 0) {
                        fd_close(current);
                        current = openat(fd, "doomed", O_DIRECTORY | O_CLOEXEC);
                }
                next = dir_open_make_at(current, "dddddddddd", 0700);
                assert_true(next >= 0);
                fd_close(current);
                current = next;
                if (i == 2999)
                        fd_close(current);
        }
        assert_int_equal(tree_remove_at(fd, "doomed"), 0);
        assert_int_equal(faccessat(fd, "doomed", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        assert_int_equal(faccessat(outside, "keep", F_OK, 0), 0);
        assert_int_equal(tree_remove_at(fd, "doomed"), 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, other), 0);
}

static void test_process(void **state) {
        char *exit3[] = {(char *) "sh", (char *) "-c", (char *) "exit 3", NULL};
        char *kill9[] = {(char *) "sh", (char *) "-c", (char *) "kill -9 $$", NULL};
        char *count[] = {(char *) "sh", (char *) "-c", (char *) "ls /proc/self/fd | wc -l >&4",
                         NULL};
        int pidfd, status, pipe_fds[2], fds[5] = {-1, -1, -1, -1, -1};
        char out[16] = "";
        pid_t pid;

        assert_int_equal(process_spawn("/bin/sh", exit3, NULL, fds, 3, &pid, &pidfd), 0);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_int_equal(status, 3);
        assert_int_equal(pidfd_signal(pidfd, SIGKILL), -ESRCH);
        fd_close(pidfd);

        assert_int_equal(process_spawn("/bin/sh", kill9, NULL, fds, 3, &pid, &pidfd), 0);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_int_equal(status, 137);
        fd_close(pidfd);

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds[4] = pipe_fds[1];
        assert_int_equal(process_spawn("/bin/sh", count, NULL, fds, 5, &pid, &pidfd), 0);
        fd_close(pipe_fds[1]);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_true(read(pipe_fds[0], out, sizeof(out) - 1) > 0);
        assert_int_equal(atoi(out), 6); /* 0 to 4 and ls's own */
        fd_close(pipe_fds[0]);
        fd_close(pidfd);

        assert_int_equal(process_spawn("/nonexistent", exit3, NULL, fds, 3, &pid, &pidfd), -ENOENT);
}

static void test_process_end(void **state) {
        char *stay[] = {(char *) "sleep", (char *) "1000", NULL};
        int pidfd, status, fds[3] = {-1, -1, -1};
        pid_t pid;

        assert_int_equal(process_spawn("/bin/sleep", stay, NULL, fds, 3, &pid, &pidfd), 0);
        assert_int_equal(pidfd_wait_until(pidfd, 0), 0);
        assert_int_equal(pidfd_wait_until(pidfd, now_monotonic() + 1), 0);
        pidfd_end(pidfd, 60 * USEC_PER_SEC);
        assert_int_equal(pidfd_wait(pidfd, &status), -ECHILD);
        fd_close(pidfd);

        /* an end is known before it is reaped, and at the deadline, too */
        assert_int_equal(process_spawn("/bin/sleep", stay, NULL, fds, 3, &pid, &pidfd), 0);
        assert_int_equal(pidfd_signal(pidfd, SIGKILL), 0);
        assert_int_equal(pidfd_wait_until(pidfd, UINT64_MAX), 1);
        assert_int_equal(pidfd_wait_until(pidfd, 0), 1);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_int_equal(status, 137);
        fd_close(pidfd);
}

static void test_base64(void **state) {
        static const struct {
                const char *plain, *coded;
        } cases[] = {
                        {"", ""},
                        {"f", "Zg=="},
                        {"fo", "Zm8="},
                        {"foo", "Zm9v"},
                        {"user:p\xc3\xa4ss?>", "dXNlcjpww6Rzcz8+"},
        };
        static const char *const bad[] = {"A",    "Zg",   "Zg=",   "A===", "Z===",  "====",
                                          "AA=A", "AA A", "AAA\n", "AA-_", "Zm9v!", "=Zg="};
        char *plain;
        size_t size;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *coded = base64_encode(cases[i].plain);

                assert_string_equal(coded, cases[i].coded);
                assert_int_equal(base64_decode(coded, &plain, &size), 0);
                assert_int_equal(size, strlen(cases[i].plain));
                assert_string_equal(plain, cases[i].plain);
                free(plain);
        }
        assert_int_equal(base64_decode("AGE=", &plain, &size), 0);
        assert_int_equal(size, 2);
        assert_memory_equal(plain, "\0a", 3);
        free(plain);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(base64_decode(bad[i], &plain, &size), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_base64),
                        cmocka_unit_test(test_identifier),
                        cmocka_unit_test(test_identifier_errors),
                        cmocka_unit_test(test_unit_name),
                        cmocka_unit_test(test_error),
                        cmocka_unit_test(test_utf8),
                        cmocka_unit_test(test_error_cut),
                        cmocka_unit_test(test_strv_env),
                        cmocka_unit_test(test_printable),
                        cmocka_unit_test(test_json),
                        cmocka_unit_test(test_json_strv),
                        cmocka_unit_test(test_atomic_file),
                        cmocka_unit_test(test_path_next),
                        cmocka_unit_test(test_tree_remove),
                        cmocka_unit_test(test_process),
                        cmocka_unit_test(test_process_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
