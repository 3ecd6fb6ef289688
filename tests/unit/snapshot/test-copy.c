/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copies of trees and of merged layers, and what trees take; mounts as they are named. Needs root:
 * files get other owners, and device nodes are made. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "snapshot/copy.h"
#include "snapshot/snapshotter.h"

typedef struct Trees {
        char path[64];
        int fd;
} Trees;

static int setup(void **state) {
        Trees *t = calloc(1, sizeof(Trees));

        strcpy(t->path, "/var/tmp/test-copy-XXXXXX");
        assert_non_null(mkdtemp(t->path));
        t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(t->fd >= 0);
        *state = t;
        return 0;
}

static int teardown(void **state) {
        Trees *t = *state;

        fd_close(t->fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, t->path), 0);
        free(t);
        return 0;
}

static int make_dir(const Trees *t, const char *path) {
        int fd = dir_open_make_at(t->fd, path, 0755);

        assert_true(fd >= 0);
        return fd;
}

static void put(int dir_fd, const char *name, const char *text) {
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        fd_close(fd);
}

static void assert_file(int dir_fd, const char *path, const char *text) {
        _cleanup_free_ char *data = NULL;

        assert_int_equal(file_read_at(dir_fd, path, 4096, &data, NULL), 0);
        assert_string_equal(data, text);
}

static void assert_none(int dir_fd, const char *path) {
        assert_int_equal(faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW), -1);
        assert_int_equal(errno, ENOENT);
}

static struct stat look(int dir_fd, const char *path) {
        struct stat st;

        assert_int_equal(fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st;
}

static const atomic_bool go_on;

static void test_attributes(void **state) {
        const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 7},
                                          {.tv_sec = 1000, .tv_nsec = 7}};
        const Trees *t = *state;
        _cleanup_close_ int from = make_dir(t, "from"), to = make_dir(t, "to"), sub = -1;
        CopySource source = {.fd = from};
        char value[8];

        sub = make_dir(t, "from/d");
        put(sub, "file", "text");
        assert_int_equal(fchownat(sub, "file", 12, 34, 0), 0);
        assert_int_equal(fchmodat(sub, "file", 04751, 0), 0);
        assert_int_equal(linkat(sub, "file", from, "other", 0), 0);
        assert_int_equal(symlinkat("/etc/../nowhere", from, "link"), 0);
        assert_int_equal(fchownat(from, "link", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(mknodat(from, "null", S_IFCHR | 0622, makedev(1, 3)), 0);
        assert_int_equal(mknodat(from, "pipe", S_IFIFO | 0600, 0), 0);
        assert_int_equal(fsetxattr(sub, "trusted.a", "b", 1, 0), 0);
        assert_int_equal(fchmod(sub, 01700), 0);
        assert_int_equal(utimensat(sub, "file", times, 0), 0);
        assert_int_equal(futimens(sub, times), 0);

        assert_int_equal(tree_copy(&source, 1, to, &go_on, NULL), 0);
        assert_file(to, "d/file", "text");
        assert_int_equal(look(to, "d/file").st_ino, look(to, "other").st_ino);
        assert_int_not_equal(look(to, "d/file").st_ino, look(from, "d/file").st_ino);
        assert_int_equal(look(to, "other").st_uid, 12);
        assert_int_equal(look(to, "other").st_gid, 34);
        assert_int_equal(look(to, "other").st_mode, S_IFREG | 04751);
        assert_int_equal(look(to, "other").st_mtim.tv_nsec, 7);
        assert_int_equal(look(to, "link").st_gid, 6);
        assert_int_equal(look(to, "null").st_rdev, makedev(1, 3));
        assert_true(S_ISFIFO(look(to, "pipe").st_mode));
        assert_int_equal(look(to, "d").st_mode, S_IFDIR | 01700);
        assert_int_equal(look(to, "d").st_mtim.tv_sec, 1000);
        fd_close(sub);
        sub = openat(to, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(fgetxattr(sub, "trusted.a", value, sizeof(value)), 1);
}

static void test_sparse(void **state) {
        const Trees *t = *state;
        _cleanup_close_ int from = make_dir(t, "from"), to = make_dir(t, "to"), fd = -1;
        CopySource source = {.fd = from};
        TreeUsage usage;

        fd = openat(from, "holes", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(pwrite(fd, "a", 1, 1 << 20), 1);
        assert_int_equal(ftruncate(fd, 1 << 30), 0);
        assert_int_equal(tree_copy(&source, 1, to, &go_on, NULL), 0);
        assert_int_equal(look(to, "holes").st_size, 1 << 30);
        fd_close(fd);
        fd = openat(to, "holes", O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, &(char){0}, 1, 1 << 20), 1);
        assert_int_equal(tree_usage(to, &go_on, &usage, NULL), 0);
        assert_int_equal(usage.inodes, 2);
        assert_true(usage.bytes < 1 << 20);
}

static void test_layers(void **state) {
        const Trees *t = *state;
        _cleanup_close_ int low = make_dir(t, "low"), high = make_dir(t, "high"),
                            to = make_dir(t, "to"), d = make_dir(t, "low/d"),
                            hidden = make_dir(t, "low/hidden"), opaque = make_dir(t, "high/hidden"),
                            e = make_dir(t, "high/d"), replaced = make_dir(t, "high/file");
        const CopySource sources[] = {{.fd = low, .layer = true}, {.fd = high, .layer = true}};

        put(low, "file", "was a file");
        put(low, "gone", "x");
        put(d, "kept", "low");
        put(d, "both", "low");
        put(hidden, "old", "x");
        assert_int_equal(linkat(d, "both", low, "twin", 0), 0);
        put(e, "both", "high");
        put(replaced, "inside", "y");
        put(opaque, "new", "z");
        assert_int_equal(mknodat(high, "gone", S_IFCHR, makedev(0, 0)), 0);
        assert_int_equal(mknodat(high, "never", S_IFCHR, makedev(0, 0)), 0);
        assert_int_equal(fsetxattr(opaque, "trusted.overlay.opaque", "y", 1, 0), 0);

        assert_int_equal(tree_copy(sources, 2, to, &go_on, NULL), 0);
        assert_none(to, "gone");
        assert_none(to, "never");
        assert_file(to, "d/kept", "low");
        assert_file(to, "d/both", "high");
        assert_file(to, "twin", "low"); /* the other name stays what it was */
        assert_file(to, "file/inside", "y");
        assert_none(to, "hidden/old");
        assert_file(to, "hidden/new", "z");
}

static void test_bounds(void **state) {
        const atomic_bool canceled = true;
        const Trees *t = *state;
        _cleanup_close_ int from = make_dir(t, "from"), to = make_dir(t, "to");
        CopySource source = {.fd = from};
        int fd = fcntl(from, F_DUPFD_CLOEXEC, 3);
        _cleanup_error_ Error e = ERROR_NULL;
        TreeUsage usage;

        for (int i = 0; i <= COPY_DEPTH_MAX; i++) {
                int next;

                assert_int_equal(mkdirat(fd, "d", 0755), 0);
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                fd_close(fd);
                fd = next;
        }
        fd_close(fd);
        assert_int_equal(tree_copy(&source, 1, to, &canceled, NULL), CTR_CANCELED);
        assert_int_equal(tree_usage(from, &canceled, &usage, NULL), CTR_CANCELED);
        assert_int_equal(tree_copy(&source, 1, to, &go_on, &e), CTR_RESOURCE_EXHAUSTED);
        error_clear(&e);
        assert_int_equal(tree_usage(from, &go_on, &usage, &e), CTR_RESOURCE_EXHAUSTED);
}

static char *mount_options(const SnapshotStack *stack, int expected, char *type) {
        SnapshotMount *m = calloc(1, sizeof(SnapshotMount));
        char *joined = calloc(1, 65536);
        int r;

        r = snapshotter_find("overlayfs")->mount(stack, m, NULL);
        assert_int_equal(r, expected);
        STRV_FOREACH(s, m->options)
                (void) strcat(strcat(joined, *joined ? "," : ""), *s);
        if (r == 0)
                strcpy(type, m->type);
        snapshot_mounts_free(m, 1);
        return joined;
}

static void test_mounts(void **state) {
        uint64_t parents[300];
        SnapshotStack stack = {.root = "/var/lib/ctr",
                               .link = "/run/ctr/o",
                               .n = 9,
                               .parents = parents};
        char type[16];
        char *o;

        for (size_t i = 0; i < ELEMENTSOF(parents); i++)
                parents[i] = 100 + i;
        o = mount_options(&stack, 0, type);
        assert_string_equal(type, "bind");
        assert_string_equal(o, "rbind,rw");
        free(o);
        stack.n_parents = 2;
        o = mount_options(&stack, 0, type);
        assert_string_equal(type, "overlay");
        assert_string_equal(o, "workdir=/var/lib/ctr/snapshots/overlayfs/9/work,"
                               "upperdir=/var/lib/ctr/snapshots/overlayfs/9/fs,"
                               "lowerdir=/var/lib/ctr/snapshots/overlayfs/100/fs:"
                               "/var/lib/ctr/snapshots/overlayfs/101/fs");
        free(o);
        stack.root = "/odd:place"; /* what has a meaning in options is not named */
        o = mount_options(&stack, 0, type);
        assert_non_null(strstr(o, "lowerdir=/run/ctr/o/100/fs:/run/ctr/o/101/fs"));
        free(o);
        stack.root = "/var/lib/ctr";
        stack.n_parents = 200;
        o = mount_options(&stack, 0, type);
        assert_true(strlen(o) < 4096);
        free(o);
        stack.n_parents = 300;
        free(mount_options(&stack, CTR_RESOURCE_EXHAUSTED, type));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
                        cmocka_unit_test(test_mounts),
        };

        return cmocka_run_group_tests_name("snapshot/copy", tests, NULL, NULL);
}
