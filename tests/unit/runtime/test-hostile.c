/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images and requests that are wrong or malicious: each gets its named error, or no effect. */

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "fixture.h"
#include "runtime/path.h"

static void test_command_not_found(void **state) {
        Fixture *f = *state;
        const Outcome *o;

        fixture_set(f, "process.env", "[\"PATH=/bin:/usr/bin\"]");
        fixture_set(f, "process.args", "[\"missing\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_FOUND,
                               "exec: The command \"missing\" is not found in PATH=/bin:/usr/bin");
        o = fixture_run(f);
        assert_int_equal(o->status, 127);
        fixture_set(f, "process.args", "[\"/bin/missing\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_FOUND, "\"/bin/missing\"");
        fixture_set(f, "process.args", "[\"/bin/true/x\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_FOUND, "\"/bin/true/x\"");
}

static void test_command_not_executable(void **state) {
        Fixture *f = *state;

        fixture_file(f, "bin/plain", "x", 0644);
        fixture_set(f, "process.args", "[\"plain\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "Permission denied");
        assert_int_equal(fixture_run(f)->status, 126);
        fixture_set(f, "process.args", "[\"/bin\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "\"/bin\"");
        /* only execve() itself can tell */
        fixture_file(f, "bin/garbage", "\x01\x02\x03", 0755);
        fixture_set(f, "process.args", "[\"garbage\"]");
        fixture_expect_failure(f, STEP_START, CTR_COMMAND_NOT_EXECUTABLE, "Exec format error");
        assert_int_equal(fixture_run(f)->status, 126);
}

static void test_command_of_another_user(void **state) {
        Fixture *f = *state;

        fixture_file(f, "bin/private", "#!/bin/sh\necho mine\n", 0700);
        fixture_set(f, "process.args", "[\"private\"]");
        fixture_expect(f, "mine\n");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "Permission denied");
}

static void test_interpreter(void **state) {
        Fixture *f = *state;

        fixture_file(f, "bin/script", "#! /bin/missing -x\n", 0755);
        fixture_set(f, "process.args", "[\"script\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_FOUND,
                               "The interpreter \"/bin/missing\" of /bin/script is not found");
        fixture_file(f, "bin/script", "#!/bin/script\n", 0755);
        fixture_expect_failure(f, STEP_START, CTR_COMMAND_NOT_EXECUTABLE, "Too many levels");
}

/* This test is linked dynamically, and the root has no dynamic linker. */
static void test_dynamic_linker(void **state) {
        Fixture *f = *state;

        fixture_copy(f, "/proc/self/exe", "bin/dynamic");
        fixture_set(f, "process.args", "[\"dynamic\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_FOUND,
                               "of /bin/dynamic is not found");
}

/* CVE-2019-5736: init made to execute the supervisor's own binary. */
static void test_own_binary(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.args", "[\"/proc/self/exe\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "/proc/self/exe");
        fixture_link(f, "/proc/self/exe", "bin/entry");
        fixture_set(f, "process.args", "[\"entry\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "entry");
        fixture_file(f, "bin/script", "#!/proc/self/exe\n", 0755);
        fixture_set(f, "process.args", "[\"script\"]");
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "\"/proc/self/exe\"");
        fixture_file(f, "bin/script", "#!/bin/entry\n", 0755);
        fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE, "\"/bin/entry\"");
}

/* A binary that the kernel would take, with its parts where few look for them. */
static void test_own_binary_as_linker(void **state) {
        static const char suffix[] = "/proc/self/exe";
        char name[PATH_MAX];
        const Elf64_Off offsets[] = {sizeof(Elf64_Ehdr), UINT64_C(3) << 30};
        Fixture *f = *state;

        memset(name, '/', sizeof(name));
        memcpy(name + sizeof(name) - sizeof(suffix), suffix, sizeof(suffix));
        fixture_set(f, "process.args", "[\"/bin/binary\"]");
        for (size_t i = 0; i < ELEMENTSOF(offsets); i++) {
                const Elf64_Ehdr header = {
                                .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
                                .e_phoff = offsets[i],
                                .e_phentsize = sizeof(Elf64_Phdr),
                                .e_phnum = 1,
                };
                const Elf64_Phdr program = {.p_type = PT_INTERP,
                                            .p_offset = 4096,
                                            .p_filesz = sizeof(name)};
                _cleanup_close_ int fd = -1;

                fixture_file(f, "bin/binary", "", 0755);
                fd = openat(f->root_fd, "bin/binary", O_WRONLY | O_CLOEXEC);
                assert_true(fd >= 0);
                assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
                assert_int_equal(pwrite(fd, name, sizeof(name), 4096), sizeof(name));
                assert_int_equal(pwrite(fd, &program, sizeof(program), (off_t) offsets[i]),
                                 sizeof(program));
                fixture_expect_failure(f, STEP_ENTER, CTR_COMMAND_NOT_EXECUTABLE,
                                       "of /bin/binary cannot be executed");
        }
}

/* The other half of it: a script changed between our look and execve() still makes init execute the
 * supervisor's binary. Started like this, that cannot be written to. */
static void test_readonly_executable(void **state) {
        Fixture *f = *state;
        _cleanup_close_ int fd = -1;
        char path[128], through[64];
        int pidfd, status;
        pid_t pid;

        (void) snprintf(path, sizeof(path), "%s/rootfs/bin/busybox", f->dir);
        fd = executable_open_readonly(path);
        assert_true(fd >= 0);
        (void) snprintf(through, sizeof(through), "/proc/%d/fd/%d", getpid(), fd);
        assert_int_equal(process_spawn(through, (char *[]){(char *) "true", NULL}, NULL, NULL, 0,
                                       &pid, &pidfd),
                         0);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_int_equal(status, 0);
        fd_close(pidfd);
        assert_int_equal(open(through, O_WRONLY | O_CLOEXEC), -1);
        assert_int_equal(errno, EROFS);
        fd_close(fd);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
}

/* CVE-2024-21626: a working directory through an inherited descriptor. */
static void test_directory_through_descriptor(void **state) {
        Fixture *f = *state;

        for (int fd = 3; fd < 20; fd++) {
                char json[64];

                (void) snprintf(json, sizeof(json), "\"/proc/self/fd/%d\"", fd);
                fixture_set(f, "process.cwd", json);
                assert_int_equal(fixture_run(f)->failed, STEP_ENTER);
        }
        fixture_link(f, "/proc/self/cwd", "outside");
        fixture_set(f, "process.cwd", "\"/outside\"");
        fixture_expect_failure(f, STEP_ENTER, -ELOOP, "process: Failed to open the working");
}

static void test_directory(void **state) {
        Fixture *f = *state;

        fixture_file(f, "file", "x", 0644);
        fixture_set(f, "process.cwd", "\"/file\"");
        fixture_expect_failure(f, STEP_ENTER, -ENOTDIR, "/file");
        /* links count from the root: this is /bin of the image */
        fixture_link(f, "../../../../bin", "link");
        fixture_set(f, "process.cwd", "\"/link\"");
        fixture_set(f, "process.args", "[\"pwd\"]");
        fixture_expect(f, "/bin\n");
}

static void test_user(void **state) {
        static const struct {
                const char *annotation;
                int code;
                const char *part;
        } cases[] = {
                        {"nobody-here", CTR_NOT_FOUND,
                         "user: The user \"nobody-here\" is not in /etc/passwd"},
                        {"app:no-group", CTR_NOT_FOUND, "The group \"no-group\" is not in"},
                        {"2147483648", CTR_INVALID_ARGUMENT, "user id 2147483648"},
                        {"0:2147483648", CTR_INVALID_ARGUMENT, "group id 2147483648"},
                        {"99999999999999999999999", CTR_INVALID_ARGUMENT, "user id"},
                        {"a:b:c", CTR_INVALID_ARGUMENT, "not of the form"},
                        {"app:", CTR_INVALID_ARGUMENT, "not of the form"},
                        {"huge", CTR_NOT_FOUND, "huge"},
                        {"-1", CTR_NOT_FOUND, "-1"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(json_object_set_new(f->document, "annotations",
                                                     json_pack("{s:s}", "org.example.Ctr.user",
                                                               cases[i].annotation)),
                                 0);
                fixture_expect_failure(f, STEP_ENTER, cases[i].code, cases[i].part);
        }
}

/* The host's file is not read through a link, and a fifo or a huge file does not stop us. */
static void test_user_database(void **state) {
        Fixture *f = *state;

        assert_int_equal(json_object_set_new(f->document, "annotations",
                                             json_pack("{s:s}", "org.example.Ctr.user", "daemon")),
                         0);
        fixture_remove(f, "etc/passwd");
        fixture_expect_failure(f, STEP_ENTER, CTR_NOT_FOUND, "daemon");
        fixture_link(f, "../../../../../../../../etc/passwd", "etc/passwd");
        fixture_expect_failure(f, STEP_ENTER, -ELOOP, "/etc/passwd");
        fixture_remove(f, "etc/passwd");
        fixture_link(f, "/proc/1/root/etc/passwd", "etc/passwd");
        fixture_expect_failure(f, STEP_ENTER, -ELOOP, "/etc/passwd");
        fixture_remove(f, "etc/passwd");
        assert_int_equal(mkfifoat(f->root_fd, "etc/passwd", 0644), 0);
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "not a regular file");
        fixture_remove(f, "etc/passwd");
        fixture_file(f, "etc/passwd", "", 0644);
        {
                _cleanup_close_ int fd = openat(f->root_fd, "etc/passwd", O_WRONLY | O_CLOEXEC);

                assert_int_equal(ftruncate(fd, 1LL << 40), 0);
        }
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "larger than");
}

/* CVE-2019-19921 and its family: what the kernel shows must be at its own place. */
static void test_links_at_mount_points(void **state) {
        static const char *const places[] = {"proc", "sys", "dev"};
        Fixture *f = *state;

        fixture_directory(f, "elsewhere", 0755);
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                char part[64];

                fixture_remove(f, places[i]);
                fixture_link(f, "/elsewhere", places[i]);
                (void) snprintf(part, sizeof(part), "mount point /%s is or lies behind", places[i]);
                fixture_expect_failure(f, STEP_ENTER, -ELOOP, part);
                fixture_remove(f, places[i]);
        }
}

/* A bind mount may follow the image's links, but they end in the root. */
static void test_links_before_bind(void **state) {
        Fixture *f = *state;
        struct stat st;
        char path[128];

        assert_int_equal(file_write_atomic_at(f->dir_fd, "note", "hello\n", 6, 0644, 0), 0);
        assert_int_equal(mkdirat(f->dir_fd, "host", 0755), 0);
        (void) snprintf(path, sizeof(path), "%s/host", f->dir);
        fixture_link(f, path, "absolute");
        fixture_link(f, "../host", "relative");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/relative/note\", \"source\": \"note\","
                       " \"options\": [\"bind\"]}");
        fixture_script(f, "cat /host/note");
        /* the link dangles in the root: nothing is made through it */
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "/relative/note");
        fixture_directory(f, "host", 0755);
        fixture_expect(f, "hello\n");
        assert_int_equal(fstatat(f->dir_fd, "host/note", &st, 0), -1);
}

static void test_masks_through_links(void **state) {
        Fixture *f = *state;

        fixture_file(f, "secret", "secret\n", 0644);
        fixture_link(f, "/secret", "alias");
        fixture_set(f, "linux.maskedPaths", "[\"/alias\"]");
        fixture_script(f, "cat /secret /alias");
        fixture_expect(f, "");
}

/* CVE-2025-31133: the image's /dev/null is not what masks. */
static void test_own_null(void **state) {
        Fixture *f = *state;

        fixture_file(f, "secret", "secret\n", 0644);
        fixture_directory(f, "dev", 0755);
        fixture_link(f, "/secret", "dev/null");
        json_array_clear(json_object_get(f->document, "mounts"));
        fixture_append(f, "mounts", "{\"destination\": \"/proc\", \"type\": \"proc\"}");
        fixture_expect_failure(f, STEP_ENTER, -EEXIST, "/dev/null is already there");
        fixture_remove(f, "dev/null");
        fixture_set(f, "linux.maskedPaths", "[\"/secret\"]");
        fixture_script(f, "cat /secret; stat -c %t:%T /secret");
        fixture_expect(f, "1:3\n");
}

static void test_devices(void **state) {
        Fixture *f = *state;

        fixture_file(f, "there", "x", 0644);
        fixture_set(f, "linux.devices",
                    "[{\"path\": \"/there\", \"type\": \"c\", \"major\": 1, \"minor\": 3}]");
        fixture_expect_failure(f, STEP_ENTER, -EEXIST, "/there is already there");
}

static void test_sources(void **state) {
        Fixture *f = *state;

        fixture_append(f, "mounts",
                       "{\"destination\": \"/data\", \"source\": \"missing\","
                       " \"options\": [\"bind\"]}");
        fixture_expect_failure(f, STEP_ENTER, CTR_NOT_FOUND, "mounts: Failed to open missing");
}

static void test_file_system_errors(void **state) {
        Fixture *f = *state;

        fixture_append(f, "mounts",
                       "{\"destination\": \"/x\", \"type\": \"tmpfs\","
                       " \"options\": [\"nonsense=1\"]}");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT,
                               "Failed to mount /x: Failed to set \"nonsense=1\" of tmpfs");
        fixture_set(f, "mounts", "[{\"destination\": \"/x\", \"type\": \"nonsensefs\"}]");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "\"nonsensefs\"");
}

static void test_namespace_of_another_type(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.namespaces",
                    "[{\"type\": \"mount\"}, {\"type\": \"cgroup\"},"
                    " {\"type\": \"uts\", \"path\": \"/proc/self/ns/net\"}]");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "is not a uts namespace");
        fixture_set(f, "linux.namespaces",
                    "[{\"type\": \"mount\"}, {\"type\": \"cgroup\"}, {\"type\": \"uts\"},"
                    " {\"type\": \"pid\", \"path\": \"/dev/null\"}]");
        fixture_expect_failure(f, STEP_CLONE, CTR_INVALID_ARGUMENT, "is not a pid namespace");
}

static void test_limit_above_the_own(void **state) {
        Fixture *f = *state;

        /* nobody may go above fs.nr_open, whatever the capabilities */
        fixture_set(f, "process.rlimits",
                    "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 1024, \"hard\": -1}]");
        fixture_expect_failure(f, STEP_ENTER, CTR_PERMISSION_DENIED, "RLIMIT_NOFILE");
}

static void test_terminal_without_devpts(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.terminal", "true");
        fixture_set(f, "mounts", "[]");
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "terminal: Failed to open /dev/pts/ptmx");
        fixture_directory(f, "dev/pts", 0755);
        fixture_file(f, "dev/pts/ptmx", "", 0666);
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "needs a devpts");
}

/* A file to mount on is made where a link leads to, and always in the root. */
static void test_mountpoint_behind_links(void **state) {
        Fixture *f = *state;
        struct stat st;
        int fd;

        assert_int_equal(symlinkat("../../../a/b/../c", f->root_fd, "one"), 0);
        fd = path_make_mountpoint(f->root_fd, "/one", false);
        assert_true(fd >= 0);
        fd_close(fd);
        assert_int_equal(fstatat(f->root_fd, "a/c", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));

        assert_int_equal(symlinkat("/three", f->root_fd, "two"), 0);
        assert_int_equal(symlinkat("four", f->root_fd, "three"), 0);
        fd = path_make_mountpoint(f->root_fd, "/two", false);
        assert_true(fd >= 0);
        fd_close(fd);
        assert_int_equal(faccessat(f->root_fd, "four", F_OK, AT_SYMLINK_NOFOLLOW), 0);

        for (int i = 0; i < 20; i++) {
                char name[16], next[16];

                (void) snprintf(name, sizeof(name), "chain%i", i);
                (void) snprintf(next, sizeof(next), "chain%i", i + 1);
                assert_int_equal(symlinkat(next, f->root_fd, name), 0);
        }
        assert_int_equal(path_make_mountpoint(f->root_fd, "chain0", false), -ELOOP);
        assert_int_equal(symlinkat("loop", f->root_fd, "loop"), 0);
        assert_int_equal(path_make_mountpoint(f->root_fd, "loop", false), -ELOOP);
        assert_int_equal(symlinkat("nowhere/", f->root_fd, "slash"), 0);
        assert_true(path_make_mountpoint(f->root_fd, "slash", false) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_mountpoint_behind_links),
                        TEST(test_command_not_found),
                        TEST(test_command_not_executable),
                        TEST(test_command_of_another_user),
                        TEST(test_interpreter),
                        TEST(test_dynamic_linker),
                        TEST(test_own_binary),
                        TEST(test_own_binary_as_linker),
                        TEST(test_readonly_executable),
                        TEST(test_directory_through_descriptor),
                        TEST(test_directory),
                        TEST(test_user),
                        TEST(test_user_database),
                        TEST(test_links_at_mount_points),
                        TEST(test_links_before_bind),
                        TEST(test_masks_through_links),
                        TEST(test_own_null),
                        TEST(test_devices),
                        TEST(test_sources),
                        TEST(test_file_system_errors),
                        TEST(test_namespace_of_another_type),
                        TEST(test_limit_above_the_own),
                        TEST(test_terminal_without_devpts),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
