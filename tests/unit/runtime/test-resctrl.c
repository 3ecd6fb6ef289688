/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* linux.intelRdt with a directory in place of the resctrl file system. What the kernel does there,
 * the files of a group coming and going with its directory, do the wrapped mkdirat() and
 * unlinkat(). */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "exec-fixture.h"
#include "runtime/resctrl.h"

#define DEFAULT_SCHEMATA "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n"

static bool is_kernel; /* the calls are about the file system */

static void put(int dir_fd, const char *name, const char *text) {
        assert_int_equal(file_write_atomic_at(dir_fd, name, text, strlen(text), 0600, 0), 0);
}

/* The linker's --wrap gives these names. */
int __real_mkdirat(int dir_fd, const char *path, mode_t mode);
int __real_unlinkat(int dir_fd, const char *path, int flags);
int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode);
int __wrap_unlinkat(int dir_fd, const char *path, int flags);

int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode) {
        _cleanup_close_ int fd = -1;
        int r = __real_mkdirat(dir_fd, path, mode);

        if (r < 0 || !is_kernel)
                return r;
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put(fd, "tasks", "");
        put(fd, "schemata", "");
        return __real_mkdirat(fd, "mon_groups", 0755);
}

int __wrap_unlinkat(int dir_fd, const char *path, int flags) {
        if (is_kernel && (flags & AT_REMOVEDIR)) {
                static const char *const files[] = {"tasks", "schemata", "mon_groups"};
                int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                for (size_t i = 0; fd >= 0 && i < ELEMENTSOF(files); i++)
                        (void) __real_unlinkat(fd, files[i], i == 2 ? AT_REMOVEDIR : 0);
                fd_close(fd);
        }
        return __real_unlinkat(dir_fd, path, flags);
}

typedef struct Resctrl {
        Fixture *f;
        char root[128];
        int root_fd;
} Resctrl;

static Resctrl resctrl_make(Fixture *f) {
        Resctrl x = {.f = f};

        (void) snprintf(x.root, sizeof(x.root), "%s/resctrl", f->dir);
        is_kernel = true;
        assert_int_equal(mkdirat(AT_FDCWD, x.root, 0755), 0);
        x.root_fd = open(x.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(x.root_fd >= 0);
        return x;
}

static void resctrl_clear(Resctrl *x) {
        is_kernel = false;
        fd_close(x->root_fd);
}

static void expect(const Resctrl *x, const char *path, const char *text) {
        _cleanup_free_ char *have = NULL;

        if (file_read_at(x->root_fd, path, 4096, &have, NULL) != 0)
                fail_msg("%s is not there", path);
        assert_string_equal(have, text);
}

static bool exists(const Resctrl *x, const char *path) {
        return faccessat(x->root_fd, path, F_OK, 0) >= 0;
}

static int truncate_at(int dir_fd, const char *path) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        return fd < 0 ? -errno : 0;
}

static void make_group(const Resctrl *x, const char *name, const char *schemata) {
        _cleanup_close_ int fd = -1;

        assert_int_equal(mkdirat(x->root_fd, name, 0755), 0);
        fd = openat(x->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put(fd, "schemata", schemata);
}

static void test_own_group(void **state) {
        static const char *const lines[] = {"L2:0=f", "MB:1=20"};
        const SpecIntelRdt rdt = {
                        .set = true,
                        .monitoring = true,
                        .l3_cache = "L3:0=f",
                        .memory_bandwidth = "MB:0=50",
                        .schemata = (const char **) lines,
                        .n_schemata = 2,
        };
        _cleanup_(resctrl_groups_clear) ResctrlGroups groups = {}, none = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Resctrl x = resctrl_make(*state);

        assert_int_equal(resctrl_join(&rdt, x.root, "box", 4242, &groups, &e), 0);
        assert_string_equal(groups.control, "box");
        assert_string_equal(groups.monitoring, "box/mon_groups/box");
        expect(&x, "box/tasks", "4242\n");
        expect(&x, "box/mon_groups/box/tasks", "4242\n");
        /* one write each, in this order: a plain file has the last one over the others */
        expect(&x, "box/schemata", "MB:1=20\n");
        assert_int_equal(resctrl_join(&rdt, x.root, "box", 4242, &none, &e), CTR_ALREADY_EXISTS);
        assert_non_null(strstr(error_text(&e), "linux.intelRdt: the group \"box\" is there"));
        error_clear(&e);
        expect(&x, "box/tasks", "4242\n");
        assert_int_equal(resctrl_add(&rdt, x.root, "box", 77777, &e), 0);
        expect(&x, "box/mon_groups/box/tasks", "77777\n");
        assert_int_equal(resctrl_remove(&groups, x.root, &e), 0);
        assert_false(exists(&x, "box"));
        assert_int_equal(resctrl_remove(&groups, x.root, &e), 0);
        resctrl_clear(&x);
}

static void test_named_group(void **state) {
        SpecIntelRdt rdt = {.set = true, .clos_id = "gold", .monitoring = true};
        _cleanup_(resctrl_groups_clear) ResctrlGroups groups = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Resctrl x = resctrl_make(*state);

        /* without a schema it has to be there */
        assert_int_equal(resctrl_join(&rdt, x.root, "box", 1, &groups, &e), CTR_NOT_FOUND);
        assert_string_equal(error_text(&e), "linux.intelRdt.closID: there is no group \"gold\"");
        error_clear(&e);
        assert_false(exists(&x, "gold"));
        /* with one it is made, and left */
        rdt.l3_cache = "L3:0=f";
        assert_int_equal(resctrl_join(&rdt, x.root, "box", 1, &groups, &e), 0);
        assert_null(groups.control);
        assert_string_equal(groups.monitoring, "gold/mon_groups/box");
        expect(&x, "gold/schemata", "L3:0=f\n");
        assert_int_equal(resctrl_remove(&groups, x.root, &e), 0);
        assert_true(exists(&x, "gold"));
        assert_false(exists(&x, "gold/mon_groups/box"));
        resctrl_groups_clear(&groups);
        /* what is there is not written to */
        rdt.l3_cache = NULL;
        assert_int_equal(resctrl_join(&rdt, x.root, "two", 2, &groups, &e), 0);
        expect(&x, "gold/schemata", "L3:0=f\n");
        expect(&x, "gold/tasks", "2\n");
        resctrl_clear(&x);
}

static void test_root_group(void **state) {
        const SpecIntelRdt rdt = {.set = true, .clos_id = "/"};
        _cleanup_(resctrl_groups_clear) ResctrlGroups groups = {};
        Resctrl x = resctrl_make(*state);

        assert_int_equal(resctrl_join(&rdt, x.root, "box", 5, &groups, NULL), 0);
        assert_null(groups.control);
        assert_null(groups.monitoring);
        expect(&x, "tasks", "5\n");
        resctrl_clear(&x);
}

static void test_compared_schemas(void **state) {
        static const struct {
                const char *l3_cache, *memory_bandwidth, *schema;
                const char *differs; /* NULL: it is the same */
        } cases[] = {
                        {"L3:0=7ff;1=7ff", NULL, NULL, NULL},
                        {"L3:1=7FF", NULL, NULL, NULL},
                        {"L3:0=07ff", "MB:1=100", NULL, NULL},
                        {NULL, NULL, "MB:0=100;1=100", NULL},
                        {"L3:0=7fe", NULL, NULL, "linux.intelRdt.l3CacheSchema"},
                        {"L3:2=7ff", NULL, NULL, "linux.intelRdt.l3CacheSchema"},
                        {"L3:0=7ff0", NULL, NULL, "linux.intelRdt.l3CacheSchema"},
                        {"L3:0=7ff", "MB:0=10", NULL, "linux.intelRdt.memBwSchema"},
                        {NULL, NULL, "L2:0=7ff", "linux.intelRdt.schemata"},
                        {NULL, NULL, "L3", "linux.intelRdt.schemata"},
        };
        Resctrl x = resctrl_make(*state);

        make_group(&x, "gold", DEFAULT_SCHEMATA);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resctrl_groups_clear) ResctrlGroups groups = {};
                _cleanup_error_ Error e = ERROR_NULL;
                const char *schema = cases[i].schema;
                const SpecIntelRdt rdt = {
                                .set = true,
                                .clos_id = "gold",
                                .l3_cache = cases[i].l3_cache,
                                .memory_bandwidth = cases[i].memory_bandwidth,
                                .schemata = &schema,
                                .n_schemata = schema ? 1 : 0,
                };
                int r = resctrl_join(&rdt, x.root, "box", 1, &groups, &e);

                if (r != (cases[i].differs ? CTR_ALREADY_EXISTS : 0) ||
                    (cases[i].differs && !startswith(error_text(&e), cases[i].differs)))
                        fail_msg("%zu: %d, \"%s\"", i, r, error_text(&e));
                expect(&x, "gold/schemata", DEFAULT_SCHEMATA);
        }
        resctrl_clear(&x);
}

/* The last step fails, and what the first ones made goes. */
static void test_undone(void **state) {
        const SpecIntelRdt rdt = {.set = true, .l3_cache = "L3:0=f", .clos_id = "new"};
        const SpecIntelRdt own = {.set = true, .monitoring = true};
        _cleanup_(resctrl_groups_clear) ResctrlGroups groups = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Resctrl x = resctrl_make(*state);
        char link[64];

        /* the place of its monitoring group is a link, which is not followed */
        make_group(&x, "gold", DEFAULT_SCHEMATA);
        (void) snprintf(link, sizeof(link), "gold/mon_groups/box");
        assert_int_equal(symlinkat("/tmp", x.root_fd, link), 0);
        {
                const SpecIntelRdt gold = {.set = true, .clos_id = "gold", .monitoring = true};

                assert_int_equal(resctrl_join(&gold, x.root, "box", 1, &groups, &e), -EEXIST);
                assert_non_null(strstr(error_text(&e), "linux.intelRdt.enableMonitoring: Failed"));
                error_clear(&e);
        }
        is_kernel = false; /* so a new group has no files */
        assert_int_equal(resctrl_join(&rdt, x.root, "box", 1, &groups, &e), -ENOENT);
        assert_non_null(strstr(error_text(&e), "linux.intelRdt.l3CacheSchema: Failed to write"));
        error_clear(&e);
        assert_false(exists(&x, "new"));
        assert_int_equal(resctrl_join(&own, x.root, "box", 1, &groups, &e), -ENOENT);
        assert_false(exists(&x, "box"));
        assert_null(groups.control);
        resctrl_clear(&x);
}

static void test_not_mounted(void **state) {
        const SpecIntelRdt rdt = {.set = true};
        ResctrlGroups groups = {};
        _cleanup_error_ Error e = ERROR_NULL;

        if (access("/sys/fs/resctrl/schemata", F_OK) >= 0)
                skip();
        assert_int_equal(resctrl_join(&rdt, NULL, "box", 1, &groups, &e), CTR_NOT_IMPLEMENTED);
        assert_string_equal(error_text(&e), "linux.intelRdt: no resctrl file system is mounted");
}

/* From the document to the group and back. */
static void test_container(void **state) {
        Fixture *f = *state;
        Resctrl x = resctrl_make(f);
        const ContainerParameters p = {
                        .config_dir_fd = f->dir_fd,
                        .config_name = "config.json",
                        .stdio = {-1, -1, -1},
                        .id = "box",
                        .resctrl_root = x.root,
        };
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        char text[32];
        int terminal_fd;

        fixture_set(f, "linux.intelRdt",
                    "{\"enableMonitoring\": true, \"schemata\": [\"L3:0=f\"]}");
        fixture_write(f);
        assert_int_equal(container_new(&p, &c, &e), 0);
        assert_int_equal(container_clone(c, -1, &e), 0);
        assert_int_equal(container_enter(c, -1, UINT64_MAX, &terminal_fd, &e), 0);
        (void) snprintf(text, sizeof(text), "%d\n", container_pid(c));
        expect(&x, "box/tasks", text);
        expect(&x, "box/schemata", "L3:0=f\n");
        expect(&x, "box/mon_groups/box/tasks", text);
        c = container_free(c);
        assert_false(exists(&x, "box"));
        resctrl_clear(&x);
        fixture_expect_failure(f, STEP_NEW, CTR_INVALID_ARGUMENT, "linux.intelRdt: the container");
}

/* What an exec is born of is put there; what it clones is where it is itself. */
static void test_exec(void **state) {
        ExecFixture *x = *state;
        Resctrl r = resctrl_make(x->f);
        char init[32];

        x->resctrl_root = r.root;
        fixture_set(x->f, "linux.intelRdt", "{\"closID\": \"gold\"}");
        make_group(&r, "gold", DEFAULT_SCHEMATA);
        exec_fixture_start(x);
        (void) snprintf(init, sizeof(init), "%d\n", container_pid(x->container));
        expect(&r, "gold/tasks", init);
        for (int i = 0; i < 2; i++) {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(truncate_at(r.root_fd, "gold/tasks"), 0);
                exec_expect(x, "");
                assert_int_equal(file_read_at(r.root_fd, "gold/tasks", 64, &text, NULL), 0);
                assert_true(strtol(text, NULL, 10) > 1);
                assert_string_not_equal(text, init);
        }
        is_kernel = false;
        assert_int_equal(tree_remove_at(r.root_fd, "gold"), 0);
        exec_expect_failure(x, CTR_NOT_FOUND, "linux.intelRdt.closID: there is no group");
        resctrl_clear(&r);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_own_group),
                        TEST(test_named_group),
                        TEST(test_root_group),
                        TEST(test_compared_schemas),
                        TEST(test_undone),
                        cmocka_unit_test(test_not_mounted),
                        TEST(test_container),
                        cmocka_unit_test_setup_teardown(test_exec, exec_fixture_setup,
                                                        exec_fixture_teardown),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
