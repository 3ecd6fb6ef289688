/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The directories of the overlayfs snapshotter. Needs root: directories get other owners. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "snapshot/overlayfs.h"

typedef struct Store {
        char path[64];
        int dir_fd;
} Store;

static int setup(void **state) {
        Store *s = calloc(1, sizeof(Store));
        int root;

        strcpy(s->path, "/tmp/test-overlayfs-XXXXXX");
        assert_non_null(mkdtemp(s->path));
        root = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        s->dir_fd = overlayfs_open(root);
        assert_true(s->dir_fd >= 0);
        fd_close(root);
        *state = s;
        return 0;
}

static int teardown(void **state) {
        Store *s = *state;

        fd_close(s->dir_fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, s->path), 0);
        free(s);
        return 0;
}

static bool exists(const Store *s, const char *path) {
        return faccessat(s->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

static void test_publish_and_adopt(void **state) {
        char temporary[OVERLAYFS_NAME_SIZE], published[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fd = -1, tree = -1;
        Store *s = *state;

        assert_int_equal(overlayfs_create(s->dir_fd, temporary, &fd, NULL), 0);
        assert_true(overlayfs_name_is_temporary(temporary));
        assert_int_equal(overlayfs_publish(s->dir_fd, temporary, published, NULL), 0);
        assert_false(exists(s, temporary));
        assert_int_equal(overlayfs_adopt(s->dir_fd, published, 7, NULL), 0);
        assert_true(exists(s, "7/fs"));
        assert_int_equal(overlayfs_adopt(s->dir_fd, published, 8, NULL), CTR_NOT_FOUND);
        assert_int_equal(overlayfs_open_tree(s->dir_fd, 7, &tree, NULL), 0);
        assert_int_equal(overlayfs_open_tree(s->dir_fd, 9, &tree, NULL), CTR_NOT_FOUND);

        fd = fd_close(fd);
        assert_int_equal(overlayfs_create(s->dir_fd, temporary, &fd, NULL), 0);
        assert_int_equal(overlayfs_publish(s->dir_fd, temporary, published, NULL), 0);
        assert_int_equal(overlayfs_adopt(s->dir_fd, published, 7, NULL), CTR_ALREADY_EXISTS);
        assert_int_equal(overlayfs_adopt(s->dir_fd, "7", 9, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(overlayfs_adopt(s->dir_fd, ".new-/../7", 9, NULL), CTR_INVALID_ARGUMENT);
}

static void test_prepare(void **state) {
        _cleanup_close_ int fd = -1;
        struct timespec times[2] = {{.tv_sec = 111}, {.tv_sec = 111}};
        Store *s = *state;
        struct stat st;

        assert_int_equal(overlayfs_prepare(s->dir_fd, 1, 0, NULL), 0);
        assert_true(exists(s, "1/fs") && exists(s, "1/work"));
        assert_int_equal(overlayfs_open_tree(s->dir_fd, 1, &fd, NULL), 0);
        assert_int_equal(fchown(fd, 5, 6), 0);
        assert_int_equal(fchmod(fd, 01711), 0);
        assert_int_equal(fsetxattr(fd, "user.x", "y", 1, 0), 0);
        assert_int_equal(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0), 0);
        assert_int_equal(futimens(fd, times), 0);

        assert_int_equal(overlayfs_prepare(s->dir_fd, 2, 1, NULL), 0);
        assert_int_equal(fstatat(s->dir_fd, "2/fs", &st, 0), 0);
        assert_int_equal(st.st_uid, 5);
        assert_int_equal(st.st_gid, 6);
        assert_int_equal(st.st_mode & 07777, 01711);
        assert_int_equal(st.st_mtime, 111);
        fd = fd_close(fd);
        assert_int_equal(overlayfs_open_tree(s->dir_fd, 2, &fd, NULL), 0);
        assert_int_equal(fgetxattr(fd, "user.x", NULL, 0), 1);
        assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", NULL, 0), -1);

        assert_int_equal(overlayfs_prepare(s->dir_fd, 2, 1, NULL), CTR_ALREADY_EXISTS);
        assert_int_equal(overlayfs_prepare(s->dir_fd, 3, 99, NULL), CTR_NOT_FOUND);
        assert_false(exists(s, "3"));
}

/* Nothing is left of what failed: only the final names are there. */
static void test_no_leftovers(void **state) {
        Store *s = *state;
        unsigned n = 0;
        DIR *dir;

        assert_int_equal(overlayfs_prepare(s->dir_fd, 1, 0, NULL), 0);
        assert_int_equal(overlayfs_prepare(s->dir_fd, 1, 0, NULL), CTR_ALREADY_EXISTS);
        assert_int_equal(overlayfs_check(s->dir_fd, NULL), 0);
        dir = fdopendir(dup(s->dir_fd));
        assert_non_null(dir);
        for (struct dirent *de; (de = readdir(dir));)
                n += !streq(de->d_name, ".") && !streq(de->d_name, "..");
        closedir(dir);
        assert_int_equal(n, 1);
}

static void test_exchange(void **state) {
        char name[OVERLAYFS_NAME_SIZE], path[OVERLAYFS_NAME_SIZE + 16];
        _cleanup_close_ int fd = -1;
        Store *s = *state;

        assert_int_equal(overlayfs_prepare(s->dir_fd, 7, 0, NULL), 0);
        assert_int_equal(overlayfs_create(s->dir_fd, name, &fd, NULL), 0);
        assert_int_equal(mkdirat(fd, "new", 0700), 0);
        (void) snprintf(path, sizeof(path), "%s/fs/new", name);
        assert_int_equal(overlayfs_exchange(s->dir_fd, 7, name, NULL), 0);
        assert_true(exists(s, "7/fs/new"));
        assert_true(exists(s, "7/work"));
        assert_false(exists(s, path));
        assert_int_equal(overlayfs_exchange(s->dir_fd, 7, name, NULL), 0);
        assert_false(exists(s, "7/fs/new"));
        assert_true(exists(s, path));
        assert_int_equal(overlayfs_exchange(s->dir_fd, 8, name, NULL), CTR_NOT_FOUND);
        assert_int_equal(overlayfs_exchange(s->dir_fd, 7, ".other", NULL), CTR_NOT_FOUND);
        assert_true(exists(s, path));
}

static void test_doom_and_remove(void **state) {
        static const char *const bad[] = {"7", "..", ".doomed-/../7", "", ".", ".other"};
        _cleanup_closedir_ DIR *dir = NULL;
        char doomed[256] = "";
        Store *s = *state;

        assert_int_equal(overlayfs_prepare(s->dir_fd, 7, 0, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(overlayfs_remove(s->dir_fd, bad[i], NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(overlayfs_doom(s->dir_fd, 7, NULL), 0);
        assert_int_equal(overlayfs_doom(s->dir_fd, 7, NULL), 0);
        assert_false(exists(s, "7"));
        dir = fdopendir(dup(s->dir_fd));
        for (struct dirent *de; (de = readdir(dir));)
                if (startswith(de->d_name, OVERLAYFS_DOOMED_PREFIX))
                        strcpy(doomed, de->d_name);
        assert_int_equal(overlayfs_remove(s->dir_fd, doomed, NULL), 0);
        assert_false(exists(s, doomed));
        assert_int_equal(overlayfs_remove(s->dir_fd, doomed, NULL), 0);
}

static void test_paths(void **state) {
        static const uint64_t chain[] = {12, 7, 1};
        _cleanup_free_ char *lower = NULL, *odd = NULL, *path = NULL, *none = NULL;

        path = overlayfs_path("/var/lib/ctr", 12, "work");
        assert_string_equal(path, "/var/lib/ctr/snapshots/overlayfs/12/work");
        lower = overlayfs_lowerdir("/s", chain, 3);
        assert_string_equal(lower, "/s/snapshots/overlayfs/12/fs:/s/snapshots/overlayfs/7/fs:"
                                   "/s/snapshots/overlayfs/1/fs");
        odd = overlayfs_lowerdir("/a:b\\c", chain, 1);
        assert_string_equal(odd, "/a\\:b\\\\c/snapshots/overlayfs/12/fs");
        none = overlayfs_lowerdir("/s", chain, 0);
        assert_string_equal(none, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_publish_and_adopt, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_prepare, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_no_leftovers, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_doom_and_remove, setup, teardown),
                        cmocka_unit_test(test_paths),
        };

        if (geteuid() != 0)
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
