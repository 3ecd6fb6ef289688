/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose limit was hit (C8), with directories in the place of cgroups. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "supervisor/oom.h"

#define PATH "ctr.slice/ctr-web.scope/payload"

typedef struct Tree {
        char path[64];
        int root_fd, fd;
} Tree;

static int set_up(void **state) {
        static Tree t;

        strcpy(t.path, "/tmp/test-oom-XXXXXX");
        if (!mkdtemp(t.path))
                return -1;
        t.root_fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        t.fd = dir_open_make_at(t.root_fd, PATH, 0755);
        *state = &t;
        return t.fd < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        Tree *t = *state;

        fd_close(t->fd);
        fd_close(t->root_fd);
        return tree_remove_at(AT_FDCWD, t->path);
}

static void set_hits(const Tree *t, const char *cgroup, const char *file, unsigned n) {
        char name[128], text[128];

        (void) snprintf(name, sizeof(name), "%s/%s", cgroup, file);
        (void) snprintf(text, sizeof(text),
                        "low 0\nhigh 9\nmax 7\noom %u\noom_kill 5\noom_group_kill 0\n", n);
        assert_int_equal(unlinkat(t->root_fd, name, 0) < 0 && errno != ENOENT, 0);
        {
                _cleanup_close_ int fd =
                                openat(t->root_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

                assert_true(fd >= 0);
                assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        }
}

static void expect(const Tree *t, OomLevels *before, const char *cgroup) {
        _cleanup_free_ char *path = NULL;
        OomLevels now;

        oom_levels_read(t->fd, &now);
        assert_int_equal(oom_level_path(PATH, oom_levels_grown(before, &now), &path), 0);
        assert_string_equal(path, cgroup);
        *before = now;
}

static void test_levels(void **state) {
        Tree *t = *state;
        OomLevels before;

        set_hits(t, PATH, "memory.events", 3);
        set_hits(t, PATH, "memory.events.local", 100); /* not looked at */
        set_hits(t, "ctr.slice/ctr-web.scope", "memory.events.local", 1);
        set_hits(t, "ctr.slice", "memory.events.local", 8);
        oom_levels_read(t->fd, &before);
        expect(t, &before, "");

        set_hits(t, "ctr.slice", "memory.events.local", 9);
        expect(t, &before, "/ctr.slice");
        expect(t, &before, "");
        set_hits(t, "ctr.slice/ctr-web.scope", "memory.events.local", 2);
        expect(t, &before, "/ctr.slice/ctr-web.scope");
        set_hits(t, PATH, "memory.events", 4);
        expect(t, &before, "/" PATH);
        /* the nearest counts */
        set_hits(t, PATH, "memory.events", 5);
        set_hits(t, "ctr.slice", "memory.events.local", 10);
        expect(t, &before, "/" PATH);
}

/* Without a memory controller, and with files that cannot be read on the way. */
static void test_missing(void **state) {
        Tree *t = *state;
        OomLevels before;

        oom_levels_read(t->fd, &before);
        expect(t, &before, "");
        set_hits(t, "ctr.slice/ctr-web.scope", "memory.events.local", 1);
        expect(t, &before, "/ctr.slice/ctr-web.scope");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
