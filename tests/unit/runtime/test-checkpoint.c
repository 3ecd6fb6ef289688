/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checkpoints without CRIU: its command lines, what is external, the document beside the images,
 * and what its log says. Dumping and restoring is tested in tests/system/checkpoint-vm.sh. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "runtime/checkpoint-document.h"
#include "runtime/checkpoint.h"
#include "runtime/criu.h"

static int set_up(void **state) {
        char path[] = "/tmp/test-checkpoint.XXXXXX";

        if (!mkdtemp(path))
                return -1;
        *state = strdup(path);
        return *state ? 0 : -1;
}

static int tear_down(void **state) {
        int r = tree_remove_at(AT_FDCWD, *state);

        free(*state);
        return r;
}

static int open_dir(void **state) {
        int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static Spec *spec_new(bool terminal) {
        static const char format[] =
                        "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},"
                        "\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],\"terminal\":%s},"
                        "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"},"
                        "{\"destination\":\"/dev\",\"type\":\"tmpfs\"},"
                        "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv/data\","
                        "\"options\":[\"rbind\"]},"
                        "{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"hosts\","
                        "\"options\":[\"bind\"]}],"
                        "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}],"
                        "\"maskedPaths\":[\"/proc/kcore\",\"/proc/acpi\"]}}";
        _cleanup_error_ Error e = ERROR_NULL;
        char text[2048];
        Spec *s = NULL;
        int n;

        n = snprintf(text, sizeof(text), format, terminal ? "true" : "false");
        assert_true(n > 0 && (size_t) n < sizeof(text));
        if (spec_parse_text(text, (size_t) n, "config.json", &s, &e) != 0)
                fail_msg("%s", error_text(&e));
        return s;
}

static bool contains(char **l, const char *s) {
        STRV_FOREACH(i, l)
                if (streq(*i, s))
                        return true;
        return false;
}

/* Whether value stands right behind option. */
static bool contains_pair(char **l, const char *option, const char *value) {
        STRV_FOREACH(i, l)
                if (streq(*i, option) && i[1] && streq(i[1], value))
                        return true;
        return false;
}

/* What CRIU would fail at late and in its own words. */
static void test_unable(void **state) {
        _cleanup_(spec_freep) Spec *s = spec_new(false);
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(criu_check_spec(s, &e), 0);
        s->namespaces[NAMESPACE_USER].set = true;
        assert_int_equal(criu_check_spec(s, &e), CTR_NOT_IMPLEMENTED);
        assert_non_null(strstr(error_text(&e), "user namespace"));
}

static void test_dump_arguments(void **state) {
        CheckpointDump p = {.init_pid = 42, .images_fd = 3, .cgroup_fd = 4};
        CheckpointDocument d = {.stdio = {(char *) "file[18:4]", (char *) "socket:[77]",
                                          (char *) "pipe:[78]"}};
        _cleanup_strv_free_ char **l = NULL, **full = NULL;

        assert_int_equal(strv_extend(&d.mounts, "/proc/kcore"), 0);
        assert_int_equal(checkpoint_dump_arguments(&p, &d, "/images", NULL, "/cgroup", &l), 0);
        assert_string_equal(l[0], "criu");
        assert_string_equal(l[1], "dump");
        assert_true(contains(l, "--tree=42"));
        assert_true(contains(l, "--root=/proc/42/root"));
        assert_true(contains(l, "--images-dir=/images"));
        assert_true(contains(l, "--freeze-cgroup=/cgroup"));
        assert_true(contains(l, "--manage-cgroups=ignore"));
        assert_true(contains_pair(l, "--external", "file[18:4]"));
        assert_true(contains_pair(l, "--external", "unix[77]"));
        assert_true(contains_pair(l, "--external", "mnt[/proc/kcore]:/proc/kcore"));
        assert_false(contains_pair(l, "--external", "pipe:[78]"));
        assert_false(contains(l, "--leave-running"));
        assert_false(contains(l, "--tcp-established"));

        p.leave_running = true;
        d.tcp = d.unix_sockets = d.shell_job = d.file_locks = true;
        assert_int_equal(strv_extend(&d.empty_namespaces, "network"), 0);
        assert_int_equal(checkpoint_dump_arguments(&p, &d, "/images", "../before", NULL, &full), 0);
        assert_true(contains(full, "--leave-running"));
        assert_true(contains(full, "--prev-images-dir=../before"));
        assert_true(contains(full, "--tcp-established"));
        assert_true(contains(full, "--ext-unix-sk"));
        assert_true(contains(full, "--shell-job"));
        assert_true(contains(full, "--file-locks"));
        assert_true(contains_pair(full, "--empty-ns", "net"));
        strv_free(d.mounts);
        strv_free(d.empty_namespaces);
}

static void test_parent_link(void **state) {
        static const struct {
                const char *images, *parent, *link; /* NULL: refused */
        } cases[] = {
                        {"/srv/b", "/srv/a", "../a"},
                        {"/srv/b/images", "/srv/a/images", "../../a/images"},
                        {"/srv/b", "/var/a", "../../var/a"},
                        {"/srv/a/b", "/srv/a", "../"},
                        {"/srv/a", "/srv/a/b", "./b"},
                        {"/srv/ab", "/srv/a", "../a"},
                        {"/srv/a", "/srv/ab", "../ab"},
                        {"/b", "/a", "../a"},
                        {"/b", "/", "../"},
                        {"/", "/a", "./a"},
                        {"/srv/a", "/srv/a", NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *link = NULL;
                int r = checkpoint_parent_link(cases[i].images, cases[i].parent, &link, NULL);

                assert_int_equal(r, cases[i].link ? 0 : CTR_INVALID_ARGUMENT);
                if (cases[i].link)
                        assert_string_equal(link, cases[i].link);
        }
}

static void test_restore_arguments(void **state) {
        const CheckpointRestore p = {.images_fd = 3, .work_fd = 4, .cgroup_fd = 5};
        CheckpointDocument d = {.stdio = {(char *) "file[18:4]", (char *) "socket:[77]",
                                          (char *) "socket:[77]"},
                                .network = (char *) "ctr-network",
                                .tcp = true};
        _cleanup_(spec_freep) Spec *spec = spec_new(false);
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_strv_free_ char **l = NULL, **none = NULL;

        assert_int_equal(strv_extend(&d.mounts, "/proc/kcore"), 0);
        assert_int_equal(strv_extend(&d.mounts, "/data/below"), 0);
        assert_int_equal(strv_extend(&d.mounts, "/etc/hosts"), 0);
        assert_int_equal(checkpoint_restore_arguments(&p, spec, &d, "/images", "/work", "/bundle",
                                                      "/root", 13, &l, &e),
                         0);
        assert_string_equal(l[1], "restore");
        assert_true(contains(l, "--root=/root"));
        assert_true(contains(l, "--work-dir=/work"));
        assert_true(contains(l, "--pidfile=/work/" CHECKPOINT_PID));
        assert_true(contains(l, "--restore-sibling"));
        assert_true(contains(l, "--tcp-established"));
        assert_true(contains_pair(l, "--inherit-fd", "fd[10]:file[18:4]"));
        assert_true(contains_pair(l, "--inherit-fd", "fd[11]:socket:[77]"));
        assert_false(contains_pair(l, "--inherit-fd", "fd[12]:socket:[77]"));
        assert_true(contains_pair(l, "--inherit-fd", "fd[13]:ctr-network"));
        assert_true(contains_pair(l, "--external", "mnt[/proc/kcore]:/dev/null"));
        assert_true(contains_pair(l, "--external", "mnt[/data/below]:/srv/data/below"));
        assert_true(contains_pair(l, "--external", "mnt[/etc/hosts]:/bundle/hosts"));

        assert_int_equal(strv_extend(&d.mounts, "/elsewhere"), 0);
        assert_int_equal(checkpoint_restore_arguments(&p, spec, &d, "/images", "/work", "/bundle",
                                                      "/root", 13, &none, &e),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(error_text(&e), "/elsewhere"));
        strv_free(d.mounts);
}

static void test_external_mounts(void **state) {
        static const char table[] = "1 0 0:39 / / rw - overlay overlay rw\n"
                                    "2 1 0:41 / /proc rw - proc proc rw\n"
                                    "3 2 0:47 / /proc/acpi ro - tmpfs tmpfs ro\n"
                                    "4 2 0:5 /null /proc/kcore rw - devtmpfs udev rw\n"
                                    "5 2 0:41 /sys /proc/sys ro - proc proc rw\n"
                                    "6 1 0:42 / /dev rw - tmpfs tmpfs rw\n"
                                    "7 6 0:43 /0 /dev/console rw - devpts devpts rw\n"
                                    "8 1 8:1 /srv/data /data rw - ext4 /dev/sda rw\n"
                                    "9 8 8:2 / /data/a\\040b rw - ext4 /dev/sdb rw\n";
        for (int terminal = 0; terminal < 2; terminal++) {
                _cleanup_(spec_freep) Spec *spec = spec_new(terminal);
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_strv_free_ char **l = NULL;

                assert_int_equal(checkpoint_external_mounts(table, spec, &l, &e), 0);
                assert_int_equal(strv_length(l), 3 + terminal);
                assert_true(contains(l, "/proc/kcore"));
                assert_true(contains(l, "/data"));
                assert_true(contains(l, "/data/a b"));
                assert_int_equal(contains(l, "/dev/console"), terminal);
        }
}

/* A name that would end the brackets early gives something else to CRIU. */
static void test_hostile_mounts(void **state) {
        static const char table[] = "8 1 8:1 /x /data/a]:/etc rw - ext4 /dev/sda rw\n";
        _cleanup_(spec_freep) Spec *spec = spec_new(false);
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_strv_free_ char **l = NULL;

        assert_int_equal(checkpoint_external_mounts(table, spec, &l, &e), CTR_NOT_IMPLEMENTED);
        assert_false(checkpoint_name_is_valid("a]:/b"));
        assert_false(checkpoint_name_is_valid(""));
        assert_false(checkpoint_name_is_valid("a\nb"));
        assert_true(checkpoint_name_is_valid("/data/a b"));
}

static void test_document(void **state) {
        _cleanup_(checkpoint_document_clear) CheckpointDocument read = {};
        CheckpointDocument d = {.stdio = {(char *) "tty[8800:2b]", NULL, (char *) "pipe:[1]"},
                                .terminal = true,
                                .file_locks = true};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int fd = open_dir(state);

        assert_int_equal(strv_extend(&d.mounts, "/dev/console"), 0);
        assert_int_equal(checkpoint_document_write(fd, &d), 0);
        assert_int_equal(checkpoint_document_read(fd, &read, &e), 0);
        assert_string_equal(read.stdio[0], "tty[8800:2b]");
        assert_null(read.stdio[1]);
        assert_string_equal(read.stdio[2], "pipe:[1]");
        assert_true(contains(read.mounts, "/dev/console"));
        assert_true(read.terminal && read.file_locks);
        assert_false(read.tcp || read.network);
        strv_free(d.mounts);
}

static void test_bad_documents(void **state) {
        static const char *const cases[] = {
                        "[]",
                        "{}",
                        "{\"version\":2}",
                        "{\"version\":1,\"stdio\":[\"/etc/passwd\"]}",
                        "{\"version\":1,\"stdio\":[\"file[1:2]:x\"]}",
                        "{\"version\":1,\"stdio\":[null,null,null,null]}",
                        "{\"version\":1,\"mounts\":[\"/a]:/etc\"]}",
                        "{\"version\":1,\"mounts\":[\"relative\"]}",
                        "{\"version\":1,\"network\":\"a[b\"}",
                        "{\"version\":1,\"emptyNamespaces\":[\"pid\"]}",
                        "{\"version\":1,\"tcp\":\"yes\"}",
        };
        _cleanup_close_ int fd = open_dir(state);
        _cleanup_error_ Error none = ERROR_NULL;
        CheckpointDocument d = {};

        assert_int_equal(checkpoint_document_read(fd, &d, &none), CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(error_text(&none), "no checkpoint"));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;

                assert_int_equal(file_write_atomic_at(fd, CHECKPOINT_DOCUMENT, cases[i],
                                                      strlen(cases[i]), 0600, 0),
                                 0);
                if (checkpoint_document_read(fd, &d, &e) != CTR_INVALID_ARGUMENT)
                        fail_msg("%s: %s", cases[i], error_text(&e));
        }
}

static void test_log(void **state) {
        static const struct {
                const char *log, *expected;
        } cases[] = {
                        {"(00.1) Version\n(00.2) Error (criu/tty.c:2381): tty: No master\n"
                         "(00.3) Error (criu/cr-dump.c:1): Dumping FAILED.\n",
                         "Error (criu/tty.c:2381): tty: No master"},
                        {"(00.1)    42: Error (criu/x.c:1): in a child\n",
                         "Error (criu/x.c:1): in a child"},
                        {"(00.1) NoError (not one)\n", NULL},
                        {"(00.1) Warn  (criu/x.c:1): Error\n", NULL},
                        {"", NULL},
        };
        _cleanup_close_ int fd = open_dir(state);
        _cleanup_free_ char *line = NULL;

        assert_int_equal(criu_log_first_error(fd, "none", &line), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(file_write_atomic_at(fd, "log", cases[i].log, strlen(cases[i].log),
                                                      0600, 0),
                                 0);
                assert_int_equal(criu_log_first_error(fd, "log", &line), 0);
                assert_int_equal(!!line, !!cases[i].expected);
                if (line)
                        assert_string_equal(line, cases[i].expected);
                free(TAKE_PTR(line));
        }
}

static int prepare_nothing(void *userdata, char ***ret, Error *e) {
        return error_setf(e, CTR_FAILED_PRECONDITION, "Not today");
}

static int prepare_version(void *userdata, char ***ret, Error *e) {
        return strv_extend(ret, "criu");
}

static void make_criu(void **state, const char *script) {
        _cleanup_close_ int fd = open_dir(state);

        assert_int_equal(file_write_atomic_at(fd, "criu", script, strlen(script), 0755, 0), 0);
        assert_int_equal(setenv("PATH", *state, 1), 0);
}

static void test_run(void **state) {
        _cleanup_free_ char *path = strdup(getenv("PATH"));
        _cleanup_close_ int fd = open_dir(state);
        static const char script[] = "#!/bin/sh\nexit 3\n";
        Helper *c = NULL;

        assert_non_null(path);
        for (int i = 0; i < 4; i++) {
                _cleanup_error_ Error e = ERROR_NULL;

                if (i == 0) {
                        assert_int_equal(setenv("PATH", *state, 1), 0);
                        assert_int_equal(criu_new(prepare_version, NULL, &c, &e), CTR_UNAVAILABLE);
                        assert_non_null(strstr(error_text(&e), "CRIU is not installed"));
                        continue;
                }
                make_criu(state, i == 3 ? "#!/bin/sh\nexit 0\n" : script);
                assert_int_equal(criu_new(i == 1 ? prepare_nothing : prepare_version, NULL, &c, &e),
                                 0);
                if (i == 1) {
                        assert_int_equal(criu_finish(c, fd, "log", NULL, &e),
                                         CTR_FAILED_PRECONDITION);
                        assert_non_null(strstr(error_text(&e), "Not today"));
                } else if (i == 2) {
                        assert_int_equal(criu_finish(c, fd, "log", "/the/log", &e), CTR_UNKNOWN);
                        assert_non_null(strstr(error_text(&e), "status 3, see /the/log"));
                } else
                        assert_int_equal(criu_finish(c, fd, "log", NULL, &e), 0);
                c = helper_free(c);
        }
        assert_int_equal(setenv("PATH", path, 1), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_dump_arguments),
                        cmocka_unit_test(test_unable),
                        cmocka_unit_test(test_parent_link),
                        cmocka_unit_test(test_restore_arguments),
                        cmocka_unit_test(test_external_mounts),
                        cmocka_unit_test(test_hostile_mounts),
                        cmocka_unit_test_setup_teardown(test_document, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_bad_documents, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_log, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_run, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
