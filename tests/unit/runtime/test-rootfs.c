/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Roots made of layers. */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "basic/strv.h"
#include "fixture.h"
#include "runtime/rootfs-outside.h"

static char *host_path(Fixture *f, const char *name) {
        char *path;

        assert_true(asprintf(&path, "%s/%s", f->dir, name) >= 0);
        return path;
}

static void make_directory(Fixture *f, const char *name) {
        _cleanup_close_ int fd = dir_open_make_at(f->dir_fd, name, 0755);

        assert_true(fd >= 0);
}

static void make_file(Fixture *f, const char *directory, const char *name, const char *text) {
        _cleanup_close_ int fd = dir_open_make_at(f->dir_fd, directory, 0755);

        assert_true(fd >= 0);
        assert_int_equal(file_write_atomic_at(fd, name, text, strlen(text), 0644, 0), 0);
}

static void use_upper(Fixture *f) {
        make_directory(f, "upper");
        make_directory(f, "work");
        f->upper = host_path(f, "upper");
        f->work = host_path(f, "work");
}

static void test_upper(void **state) {
        Fixture *f = *state;
        struct stat st;

        fixture_set(f, "root", "null");
        make_file(f, "top", "name", "top\n");
        assert_true(asprintf(&f->lower, "%s/top:%s/rootfs", f->dir, f->dir) >= 0);
        use_upper(f);
        fixture_script(f, "cat /name; echo new > /name; cat /name; grep -c '^overlay / ' "
                          "/proc/mounts");
        fixture_expect(f, "top\nnew\n1\n");
        assert_int_equal(fstatat(f->dir_fd, "upper/name", &st, 0), 0);
        assert_int_equal(fstatat(f->dir_fd, "rootfs/name", &st, 0), -1);
}

static void test_readonly_views(void **state) {
        Fixture *f = *state;

        /* mount points must be there: nothing can be made */
        fixture_directory(f, "proc", 0755);
        fixture_directory(f, "dev", 0755);
        fixture_directory(f, "sys", 0755);
        fixture_script(f, "touch /x; cat /name 2> /dev/null; true");
        f->lower = host_path(f, "rootfs");
        fixture_expect(f, "touch: /x: Read-only file system\n");
        free(f->lower);
        make_file(f, "top", "name", "top\n");
        assert_true(asprintf(&f->lower, "%s/top:%s/rootfs", f->dir, f->dir) >= 0);
        fixture_expect(f, "touch: /x: Read-only file system\ntop\n");
        fixture_remove(f, "sys");
        fixture_expect_failure(f, STEP_ENTER, -EROFS, "mount point /sys");
}

/* As many as the largest images have, with names as long as a store's. */
static void test_128_layers(void **state) {
        Fixture *f = *state;
        char *list = NULL;
        size_t size;
        FILE *stream = open_memstream(&list, &size);

        assert_non_null(stream);
        for (unsigned i = 0; i < 127; i++) {
                char directory[128], name[16];

                (void) snprintf(directory, sizeof(directory),
                                "snapshots/a-snapshotter-with-a-long-name/layer-%03u/fs", i);
                (void) snprintf(name, sizeof(name), "file%u", i);
                make_file(f, directory, name, "x");
                make_file(f, directory, "top", name);
                fprintf(stream, "%s/%s:", f->dir, directory);
        }
        fprintf(stream, "%s/rootfs", f->dir);
        assert_int_equal(fclose(stream), 0);
        f->lower = list;
        use_upper(f);
        fixture_script(f, "echo /file* | wc -w; cat /top");
        fixture_link(f, "busybox", "bin/wc");
        fixture_expect(f, "127\nfile0");
}

static void test_names_with_separators(void **state) {
        Fixture *f = *state;

        make_file(f, "a,b\\c=d", "name", "odd\n");
        assert_true(asprintf(&f->lower, "%s/a,b\\c=d:%s/rootfs", f->dir, f->dir) >= 0);
        use_upper(f);
        fixture_set(f, "process.args", "[\"cat\", \"/name\"]");
        fixture_expect(f, "odd\n");
}

/* The way for kernels before 6.5, in a process that is its own container: exits with 0 if the root
 * is the overlay. */
static int enter_old_kernels_root(const RootfsParameters *p) {
        bool attached;
        int root_fd;

        if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0)
                return 1;
        if (rootfs_make_overlay(p, &root_fd, &attached, NULL) != 0 || !attached)
                return 2;
        if (rootfs_attach(root_fd, attached, 0, NULL) != 0)
                return 3;
        if (rootfs_enter(root_fd, 0, false, NULL) != 0)
                return 4;
        if (access("/name", R_OK) < 0 || access("/bin/busybox", X_OK) < 0 ||
            access("/var/tmp", F_OK) >= 0)
                return 5;
        return close(open("/new", O_WRONLY | O_CREAT, 0644)) < 0 ? 6 : 0;
}

/* Used again within a boot, volatile or not, and refused when it was another boot. */
static void test_volatile(void **state) {
        Fixture *f = *state;

        fixture_set(f, "root", "null");
        fixture_set(f, "annotations", "{\"org.example.Ctr.volatile\": \"1\"}");
        f->lower = host_path(f, "rootfs");
        use_upper(f);
        fixture_script(f, "echo new >> /name; wc -l < /name; "
                          "grep -c '^overlay / .*[,=]volatile' /proc/mounts; true");
        fixture_expect(f, "1\n1\n");
        fixture_expect(f, "2\n1\n");
        make_file(f, "work", "boot-id", "another\n");
        fixture_expect_failure(f, STEP_ENTER, CTR_FAILED_PRECONDITION, "is volatile");
}

static void test_not_volatile_any_more(void **state) {
        Fixture *f = *state;

        fixture_set(f, "root", "null");
        fixture_set(f, "annotations", "{\"org.example.Ctr.volatile\": \"1\"}");
        f->lower = host_path(f, "rootfs");
        use_upper(f);
        fixture_script(f, "grep -c '^overlay / .*[,=]volatile' /proc/mounts; true");
        fixture_expect(f, "1\n");
        fixture_set(f, "annotations", "{}");
        fixture_expect(f, "0\n");
}

static void test_old_kernel(void **state) {
        Fixture *f = *state;
        struct stat st;
        int status;
        pid_t pid;

        make_file(f, "a,b\\c", "name", "odd\n");
        assert_true(asprintf(&f->lower, "%s/a,b\\c:%s/rootfs", f->dir, f->dir) >= 0);
        use_upper(f);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                const RootfsParameters p = {
                                .lower = f->lower,
                                .upper = f->upper,
                                .work = f->work,
                                .old_kernel = true,
                };

                _exit(enter_old_kernels_root(&p));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(fstatat(f->dir_fd, "upper/new", &st, 0), 0);
}

static void test_bad_layers(void **state) {
        Fixture *f = *state;

        f->lower = strdup("relative");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "not an absolute path");
        free(f->lower);
        assert_true(asprintf(&f->lower, "%s/missing:%s/rootfs", f->dir, f->dir) >= 0);
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "missing");
        f->upper = host_path(f, "missing");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "work directory");
        f->work = host_path(f, "work");
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "work directory");
        make_directory(f, "work");
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "missing");
}

static void test_too_many_layers(void **state) {
        Fixture *f = *state;
        char *list = malloc(501 * 3 + 1);

        assert_non_null(list);
        for (size_t i = 0; i < 501; i++)
                memcpy(list + 3 * i, "/a:", 3);
        list[501 * 3 - 1] = '\0';
        f->lower = list;
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "More than 500 layers");
}

static void test_missing_directory(void **state) {
        Fixture *f = *state;

        fixture_set(f, "root.path", "\"missing\"");
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "missing");
        fixture_set(f, "root.path", "\"config.json\"");
        fixture_expect_failure(f, STEP_ENTER, -ENOTDIR, "config.json");
        fixture_set(f, "root", "null");
        fixture_expect_failure(f, STEP_NEW, CTR_INVALID_ARGUMENT, "root.path is missing");
}

static void test_propagation(void **state) {
        static const struct {
                const char *value, *pattern;
        } cases[] = {
                        {"\"shared\"", "[^ ]* / [^-]*shared:"},
                        {"\"unbindable\"", "[^ ]* / [^-]*unbindable"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char script[128];

                fixture_set(f, "linux.rootfsPropagation", cases[i].value);
                (void) snprintf(script, sizeof(script), "grep -cE '%s' /proc/self/mountinfo",
                                cases[i].pattern);
                fixture_script(f, script);
                fixture_expect(f, "1\n");
        }
        fixture_script(f, "grep -cE '(shared|master):' /proc/self/mountinfo; true");
        fixture_set(f, "linux.rootfsPropagation", "null");
        fixture_expect(f, "0\n");

        /* only what the host shares can be received from it */
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(mount(f->dir, f->dir, NULL, MS_BIND, NULL), 0);
        assert_int_equal(mount(NULL, f->dir, NULL, MS_SHARED, NULL), 0);
        fd_close(f->dir_fd);
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->dir_fd >= 0);
        fixture_set(f, "linux.rootfsPropagation", "\"private\"");
        fixture_expect(f, "0\n");
        fixture_set(f, "linux.rootfsPropagation", "\"slave\"");
        fixture_script(f, "grep -cE '[^ ]* / [^-]*master:' /proc/self/mountinfo");
        fixture_expect(f, "1\n");
        assert_int_equal(umount2(f->dir, MNT_DETACH), 0);
}

/* For a program that sets the container up itself: by the descriptor of a bundle that was opened in
 * the host's mounts, onto a directory that only it sees so. */
static void test_outside(void **state) {
        const RootfsParameters p = {};
        Fixture *f = *state;
        char target[128];
        int status;
        pid_t pid;

        make_directory(f, "outside");
        (void) snprintf(target, sizeof(target), "%s/outside", f->dir);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = -1;

                if (rootfs_make_outside(&p, f->dir_fd, "rootfs", &fd, NULL) != 0)
                        _exit(1);
                if (rootfs_attach_outside(fd, target, NULL) != 0)
                        _exit(2);
                strcat(target, "/bin/busybox");
                _exit(access(target, X_OK) < 0 ? 3 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(faccessat(f->dir_fd, "outside/bin", F_OK, 0), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_upper),           TEST(test_readonly_views),
                        TEST(test_128_layers),      TEST(test_names_with_separators),
                        TEST(test_old_kernel),      TEST(test_bad_layers),
                        TEST(test_too_many_layers), TEST(test_missing_directory),
                        TEST(test_propagation),     TEST(test_outside),
                        TEST(test_volatile),        TEST(test_not_volatile_any_more),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
