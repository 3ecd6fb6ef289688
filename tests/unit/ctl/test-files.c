/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that ctrctl reads and writes by itself: credentials, and the local side of cp. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "ctl/auth-file.h"
#include "ctl/copy-child.h"
#include "ctl/copy-path.h"
#include "ctl/tar.h"

static char directory[] = "/tmp/test-ctl-files-XXXXXX";
static int directory_fd = -1;

static int set_up(void **state) {
        strcpy(directory + strlen(directory) - 6, "XXXXXX");
        if (!mkdtemp(directory))
                return -1;
        directory_fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        return chdir(directory);
}

static int tear_down(void **state) {
        directory_fd = fd_close(directory_fd);
        return chdir("/") == 0 && tree_remove_at(AT_FDCWD, directory) == 0 ? 0 : -1;
}

static void test_scopes(void **state) {
        static const struct {
                char *(*scope_of)(const char *name);
                const char *name, *scope;
        } cases[] = {
                        {auth_scope_of_image, "nginx", "docker.io/library/nginx"},
                        {auth_scope_of_image, "nginx:1", "docker.io/library/nginx"},
                        {auth_scope_of_image, "team/web:1", "docker.io/team/web"},
                        {auth_scope_of_image, "localhost/web", "localhost/web"},
                        {auth_scope_of_image, "localhost:5000/a/b:1@sha256:00",
                         "localhost:5000/a/b"},
                        {auth_scope_of_image, "example.com/a@sha256:00", "example.com/a"},
                        {auth_scope_of_image, "[::1]:5000/a", "[::1]:5000/a"},
                        {auth_scope_of_registry, "https://index.docker.io/v1/", "docker.io"},
                        {auth_scope_of_registry, "index.docker.io", "docker.io"},
                        {auth_scope_of_registry, "localhost:5000/", "localhost:5000"},
                        {auth_scope_of_registry, "localhost:5000/team", "localhost:5000/team"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *scope = cases[i].scope_of(cases[i].name);

                assert_string_equal(scope, cases[i].scope);
        }
}

static void write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void assert_password(const char *file, const char *scope, const char *password) {
        _cleanup_login_ Login login = {};

        assert_int_equal(auth_file_find(file, scope, &login, NULL), 0);
        if (password)
                assert_string_equal(strempty(login.password), password);
        else
                assert_null(login.password);
}

static void test_auth_file(void **state) {
        const Login team = {.username = (char *) "team", .password = (char *) "a:b"},
                    other = {.username = (char *) "other", .password = (char *) "c"},
                    token = {.identity_token = (char *) "refresh"};
        _cleanup_login_ Login found = {};
        _cleanup_error_ Error e = ERROR_NULL;
        struct stat st;

        assert_password("sub/auth.json", "localhost:5000/x", NULL);
        assert_int_equal(auth_file_store("sub/auth.json", "localhost:5000", &team, NULL), 0);
        assert_int_equal(auth_file_store("sub/auth.json", "localhost:5000/x", &other, NULL), 0);
        assert_int_equal(auth_file_store("sub/auth.json", "docker.io", &token, NULL), 0);
        assert_int_equal(stat("sub/auth.json", &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(stat("sub", &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_password("sub/auth.json", "localhost:5000/y", "a:b");
        assert_password("sub/auth.json", "localhost:5000/x/z", "c");
        assert_password("sub/auth.json", "localhost:5000/xy", "a:b");
        assert_password("sub/auth.json", "localhost:50001/x", NULL);
        assert_int_equal(auth_file_find("sub/auth.json", "docker.io/library/a", &found, NULL), 0);
        assert_string_equal(found.identity_token, "refresh");

        assert_int_equal(auth_file_store("sub/auth.json", "localhost:5000", &other, NULL), 0);
        assert_password("sub/auth.json", "localhost:5000/y", "c");
        assert_int_equal(auth_file_store("sub/auth.json", "localhost:5000", NULL, NULL), 0);
        assert_password("sub/auth.json", "localhost:5000/y", NULL);
        assert_password("sub/auth.json", "localhost:5000/x", "c");
        assert_int_equal(auth_file_store("sub/auth.json", "localhost:5000", NULL, &e),
                         CTR_NOT_FOUND);
}

/* What others have written stays, and what cannot be read is not overwritten. */
static void test_auth_file_of_others(void **state) {
        const Login team = {.username = (char *) "team", .password = (char *) "p"};
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Login login = {};

        write_file("auth.json", "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": "
                                "\"dTpw\"}}, \"credsStore\": \"x\"}");
        assert_int_equal(auth_file_store("auth.json", "docker.io", &team, NULL), 0);
        assert_int_equal(file_read_at(AT_FDCWD, "auth.json", 4096, &text, NULL), 0);
        assert_non_null(strstr(text, "credsStore"));
        assert_null(strstr(text, "index.docker.io"));

        write_file("auth.json", "{\"auths\": ");
        assert_int_equal(auth_file_store("auth.json", "docker.io", &team, &e),
                         CTR_INVALID_ARGUMENT);
        write_file("auth.json", "{\"auths\": {\"a.b\": {\"auth\": \"c2VjcmV0\"}}}");
        error_clear(&e);
        assert_int_equal(auth_file_find("auth.json", "a.b/x", &login, &e), CTR_INVALID_ARGUMENT);
        assert_null(strstr(e.text, "c2VjcmV0"));
        assert_null(strstr(e.text, "secret"));
}

static void test_copy_ends(void **state) {
        static const struct {
                const char *text, *container, *path;
        } cases[] = {
                        {"web:/etc/passwd", "web", "/etc/passwd"},
                        {"web:etc", "web", "/etc"},
                        {"web:", "web", "/"},
                        {"./a:b", NULL, "./a:b"},
                        {"/a:b", NULL, "/a:b"},
                        {"a", NULL, "a"},
                        {"-", NULL, "-"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(copy_end_clear) CopyEnd end = {};

                assert_int_equal(copy_end_parse(cases[i].text, &end, NULL), 0);
                assert_true(streq_ptr(end.container, cases[i].container));
                assert_string_equal(end.path, cases[i].path);
        }
        assert_int_equal(copy_end_parse(":/x", &(CopyEnd){}, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(copy_end_parse("", &(CopyEnd){}, NULL), CTR_INVALID_ARGUMENT);
}

/* The cases of docker cp's manual. */
static void test_copy_targets(void **state) {
        static const struct {
                const char *source;
                CopyKind source_kind;
                const char *target;
                CopyKind target_kind;
                int code;
                const char *directory, *as;
        } cases[] = {
                        {"/s/f", COPY_FILE, "/t/new", COPY_ABSENT, 0, "/t", "new"},
                        {"/s/f", COPY_FILE, "new", COPY_ABSENT, 0, ".", "new"},
                        {"/s/f", COPY_FILE, "/new", COPY_ABSENT, 0, "/", "new"},
                        {"/s/f", COPY_FILE, "/t/new/", COPY_ABSENT, CTR_NOT_FOUND, NULL, NULL},
                        {"/s/f", COPY_FILE, "/t/old", COPY_FILE, 0, "/t", "old"},
                        {"/s/f", COPY_FILE, "/t/old/", COPY_FILE, CTR_FAILED_PRECONDITION, NULL,
                         NULL},
                        {"/s/f", COPY_FILE, "/t/d", COPY_DIRECTORY, 0, "/t/d", "f"},
                        {"/s/f", COPY_FILE, "/", COPY_DIRECTORY, 0, "/", "f"},
                        {"/s/f/", COPY_FILE, "/t/d", COPY_DIRECTORY, CTR_FAILED_PRECONDITION, NULL,
                         NULL},
                        {"/s/f/.", COPY_FILE, "/t/d", COPY_DIRECTORY, CTR_FAILED_PRECONDITION, NULL,
                         NULL},
                        {"/s/d", COPY_DIRECTORY, "/t/new", COPY_ABSENT, 0, "/t", "new"},
                        {"/s/d", COPY_DIRECTORY, "/t/new/", COPY_ABSENT, 0, "/t", "new"},
                        {"/s/d/.", COPY_DIRECTORY, "/t/new", COPY_ABSENT, 0, "/t", "new"},
                        {"/s/d", COPY_DIRECTORY, "/t/old", COPY_FILE, CTR_FAILED_PRECONDITION, NULL,
                         NULL},
                        {"/s/d", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", "d"},
                        {"/s/d/", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", "d"},
                        {"/s/d/.", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", ""},
                        {".", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", ""},
                        {"..", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", ""},
                        {"/", COPY_DIRECTORY, "/t/d", COPY_DIRECTORY, 0, "/t/d", ""},
                        {"/s/x", COPY_ABSENT, "/t/d", COPY_DIRECTORY, CTR_NOT_FOUND, NULL, NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CopyTarget target;
                int r = copy_target(cases[i].source, cases[i].source_kind, cases[i].target,
                                    cases[i].target_kind, &target, NULL);

                if (r != cases[i].code)
                        fail_msg("%s to %s: %i", cases[i].source, cases[i].target, r);
                if (r == 0 && (!streq(target.directory, cases[i].directory) ||
                               !streq(target.as, cases[i].as)))
                        fail_msg("%s to %s: \"%s\" in \"%s\"", cases[i].source, cases[i].target,
                                 target.as, target.directory);
        }
}

static int memory_file(void) {
        int fd = memfd_create("tar", MFD_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void make_tree(void) {
        const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

        assert_int_equal(mkdir("tree", 0755), 0);
        assert_int_equal(mkdir("tree/sub", 0711), 0);
        write_file("tree/file", "hello");
        assert_int_equal(chmod("tree/file", 04750), 0);
        assert_int_equal(link("tree/file", "tree/sub/second"), 0);
        assert_int_equal(symlink("/etc/passwd", "tree/link"), 0);
        assert_int_equal(mkfifo("tree/fifo", 0600), 0);
        write_file("tree/sub/\xc3\xa4", "umlaut");
        assert_int_equal(utimensat(AT_FDCWD, "tree/sub", times, 0), 0);
}

static void test_round_trip(void **state) {
        _cleanup_close_ int fd = memory_file();
        _cleanup_free_ char *text = NULL;
        struct stat first, second;
        char link[64] = "";
        unsigned skipped;

        make_tree();
        assert_int_equal(tar_pack(fd, "tree", "other", 0, NULL), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(tar_unpack(fd, directory_fd, "copy", 0, &skipped, NULL), 0);
        assert_int_equal(skipped, 0);
        assert_int_equal(file_read_at(directory_fd, "copy/file", 64, &text, NULL), 0);
        assert_string_equal(text, "hello");
        assert_int_equal(stat("copy/file", &first), 0);
        assert_int_equal(stat("copy/sub/second", &second), 0);
        assert_int_equal(first.st_ino, second.st_ino);
        /* whose program it would be is not kept, so neither is the right to run as that */
        assert_int_equal(first.st_mode & 07777, 0750);
        assert_true(readlink("copy/link", link, sizeof(link) - 1) > 0);
        assert_string_equal(link, "/etc/passwd");
        assert_int_equal(stat("copy/sub", &second), 0);
        assert_int_equal(second.st_mtime, 1000000000);
        assert_int_equal(second.st_mode & 0777, 0711);
        assert_int_equal(stat("copy/sub/\xc3\xa4", &second), 0);
        assert_int_equal(lstat("copy/fifo", &second), 0);
        assert_true(S_ISFIFO(second.st_mode));

        /* once more over what is there, and only what is inside */
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(tar_pack(fd, "tree", "other", 0, NULL), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(mkdir("inside", 0700), 0);
        assert_int_equal(tar_unpack(fd, directory_fd, "copy", 0, &skipped, NULL), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        _cleanup_close_ int inside_fd = open("inside", O_DIRECTORY | O_PATH | O_CLOEXEC);
        assert_int_equal(tar_unpack(fd, inside_fd, "", 0, &skipped, NULL), 0);
        assert_int_equal(stat("inside/sub/second", &second), 0);
}

static void test_follow(void **state) {
        _cleanup_close_ int fd = memory_file();
        unsigned skipped;
        struct stat st;

        write_file("target", "x");
        assert_int_equal(symlink("target", "link"), 0);
        assert_int_equal(tar_pack(fd, "link", "link", TAR_FOLLOW, NULL), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(tar_unpack(fd, directory_fd, "file", 0, &skipped, NULL), 0);
        assert_int_equal(lstat("file", &st), 0);
        assert_true(S_ISREG(st.st_mode));
}

/* One entry of a tar in the oldest form, as somebody hostile would write it. */
static void append_entry(int fd, const char *name, char type, const char *target,
                         const char *data) {
        char block[512] = {};
        unsigned sum = 0;
        size_t n = strlen(data);

        (void) snprintf(block, 100, "%s", name);
        (void) snprintf(block + 100, 8, "%07o", 0644U);
        (void) snprintf(block + 108, 8, "%07o", 0U);
        (void) snprintf(block + 116, 8, "%07o", 0U);
        (void) snprintf(block + 124, 12, "%011o", (unsigned) n);
        (void) snprintf(block + 136, 12, "%011o", 0U);
        memset(block + 148, ' ', 8);
        block[156] = type;
        (void) snprintf(block + 157, 100, "%s", target);
        (void) snprintf(block + 257, 6, "ustar");
        block[263] = block[264] = '0';
        for (size_t i = 0; i < sizeof(block); i++)
                sum += (unsigned char) block[i];
        (void) snprintf(block + 148, 8, "%06o", sum);
        assert_int_equal(fd_write_all(fd, block, sizeof(block)), 0);
        assert_true(n <= sizeof(block));
        memset(block, 0, sizeof(block));
        for (size_t i = 0; i < n; i++)
                block[i] = data[i];
        if (n > 0)
                assert_int_equal(fd_write_all(fd, block, sizeof(block)), 0);
}

typedef struct HostileEntry {
        const char *name;
        char type;
        const char *target, *data;
} HostileEntry;

static void test_hostile(void **state) {
        static const struct {
                HostileEntry entries[4];
                int code;
        } cases[] = {
                        {{{"x/../../outside/evil", '0', "", "evil"}}, CTR_INVALID_ARGUMENT},
                        {{{"x/", '5', "", ""}, {"y/evil", '0', "", "evil"}}, CTR_INVALID_ARGUMENT},
                        {{{"x/", '5', "", ""},
                          {"x/l", '2', "../../outside", ""},
                          {"x/l/evil", '0', "", "evil"}},
                         CTR_FAILED_PRECONDITION},
                        {{{"x/", '5', "", ""},
                          {"x/l", '2', "/", ""},
                          {"x/l/tmp/evil", '0', "", "evil"}},
                         CTR_FAILED_PRECONDITION},
                        {{{"x/", '5', "", ""}, {"x/h", '1', "x/../../outside/secret", ""}},
                         CTR_INVALID_ARGUMENT},
                        {{{"x/", '5', "", ""},
                          {"x/l", '2', "../../outside/secret", ""},
                          {"x/l", '0', "", "evil"}},
                         0}, /* the link is replaced, not what it leads to */
                        {{{"x/", '5', "", ""}, {"x/there", '0', "", "evil"}},
                         CTR_FAILED_PRECONDITION},
                        {{{"x/", '5', "", ""}, {"x/file", '5', "", ""}}, CTR_FAILED_PRECONDITION},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int fd = memory_file(), root_fd = -1;
                _cleanup_free_ char *secret = NULL;
                char end[1024] = {};
                unsigned skipped;
                int r;

                assert_int_equal(tree_remove_at(directory_fd, "root"), 0);
                assert_int_equal(tree_remove_at(directory_fd, "outside"), 0);
                assert_int_equal(mkdir("root", 0700), 0);
                assert_int_equal(mkdir("root/t", 0700), 0);
                assert_int_equal(mkdir("root/t/there", 0700), 0);
                assert_int_equal(mkdir("outside", 0700), 0);
                write_file("outside/secret", "secret");
                write_file("root/t/file", "");
                root_fd = open("root", O_DIRECTORY | O_PATH | O_CLOEXEC);
                for (const HostileEntry *h = cases[i].entries; h->name; h++)
                        append_entry(fd, h->name, h->type, h->target, h->data);
                assert_int_equal(fd_write_all(fd, end, sizeof(end)), 0);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                r = tar_unpack(fd, root_fd, "t", 0, &skipped, NULL);
                if (r != cases[i].code)
                        fail_msg("case %zu: %i", i, r);
                assert_int_equal(access("outside/evil", F_OK), -1);
                assert_int_equal(file_read_at(directory_fd, "outside/secret", 64, &secret, NULL),
                                 0);
                assert_string_equal(secret, "secret");
        }
}

static void test_cut_off(void **state) {
        _cleanup_close_ int fd = memory_file();
        unsigned skipped;

        assert_int_equal(tar_unpack(fd, directory_fd, "x", 0, &skipped, NULL), CTR_DATA_LOSS);
        append_entry(fd, "x", '0', "", "data");
        assert_int_equal(ftruncate(fd, 600), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(tar_unpack(fd, directory_fd, "x", 0, &skipped, NULL), CTR_DATA_LOSS);
        assert_int_equal(access("x", F_OK), -1); /* nor anything else of it */
}

static void test_child(void **state) {
        _cleanup_close_ int fd = -1;
        _cleanup_error_ Error e = ERROR_NULL;
        CopyWork pack = {.path = "nothing", .dir_fd = -1, .as = "x"};
        CopyChild child;
        unsigned skipped;
        struct stat st;

        assert_int_equal(copy_child_start(&pack, &child, &fd, NULL), 0);
        assert_int_equal(copy_child_wait(&child, &e), -ENOENT);
        assert_non_null(strstr(e.text, "nothing"));
        fd = fd_close(fd);

        write_file("there", "x");
        pack.path = "there";
        assert_int_equal(copy_child_start(&pack, &child, &fd, NULL), 0);
        assert_int_equal(tar_unpack(fd, directory_fd, "copied", 0, &skipped, NULL), 0);
        assert_int_equal(copy_child_wait(&child, NULL), 0);
        assert_int_equal(stat("copied", &st), 0);
        assert_int_equal(st.st_size, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_scopes),
                        cmocka_unit_test_setup_teardown(test_auth_file, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_auth_file_of_others, set_up,
                                                        tear_down),
                        cmocka_unit_test(test_copy_ends),
                        cmocka_unit_test(test_copy_targets),
                        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_follow, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_child, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
