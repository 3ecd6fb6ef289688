/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which ids containers get: what may be asked for, where ranges come from, that none is given
 * twice, and that each is kept as long as its container is there. */

#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "manager/db-internal.h"
#include "manager/id-pool.h"

static void write_file(const Harness *h, const char *path, const char *text) {
        char name[256];
        FILE *f;

        (void) snprintf(name, sizeof(name), "%s/%s", h->dir, path);
        f = fopen(name, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
        assert_int_equal(fclose(f), 0);
}

static void make_directory(const Harness *h, const char *path) {
        char name[256];

        (void) snprintf(name, sizeof(name), "%s/%s", h->dir, path);
        assert_int_equal(mkdir(name, 0755), 0);
}

static void test_mappings(void **state) {
        static const struct {
                IdMapping mapping;
                const char *error;
        } cases[] = {
                        {{0, 1000, 10}, NULL},
                        {{10, 1010, 1}, NULL},
                        {{UINT32_MAX - 1, 5000, 1}, NULL},
                        {{20, 2000, 0}, "20:2000:0 maps no id"},
                        {{20, UINT32_MAX, 1}, "20:4294967295:1 goes beyond the highest id"},
                        {{20, UINT32_MAX - 1, 2}, "beyond the highest id"},
                        {{20, 2000, UINT32_MAX}, "beyond the highest id"},
                        {{9, 3000, 1}, "an id of the container twice"},
                        {{5, 3000, 100}, "an id of the container twice"},
                        {{20, 1010, 1}, "an id of the host twice"},
                        {{20, 900, 101}, "an id of the host twice"},
        };
        _cleanup_(user_namespace_clear) UserNamespace u = {};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                int r = id_mappings_add(&u.uids, &cases[i].mapping, &e);

                assert_int_equal(r, cases[i].error ? CTR_INVALID_ARGUMENT : 0);
                if (r != 0)
                        assert_non_null(strstr(error_text(&e), cases[i].error));
        }
        assert_int_equal(u.uids.n, 3);
        assert_true(id_mappings_have(&u.uids, 10));
        assert_false(id_mappings_have(&u.uids, 11));
}

static void test_mappings_bound(void **state) {
        _cleanup_(user_namespace_clear) UserNamespace u = {};
        _cleanup_error_ Error e = ERROR_NULL;

        for (uint32_t i = 0; i < ID_MAPPINGS_MAX; i++)
                assert_int_equal(id_mappings_add(&u.uids, &(IdMapping){i, 2 * i, 1}, &e), 0);
        assert_int_equal(id_mappings_add(&u.uids, &(IdMapping){5000, 5000, 1}, &e),
                         CTR_INVALID_ARGUMENT);
        assert_string_equal(error_text(&e), "more than 340 mappings");
}

/* The kernel takes a map in one write, of less than a page. */
static void test_mappings_length(void **state) {
        for (uint32_t first = 10; first <= 100000; first *= 10000) {
                _cleanup_(user_namespace_clear) UserNamespace u = {.mode = USER_NAMESPACE_MAPPED};
                _cleanup_error_ Error e = ERROR_NULL;
                bool fits = first == 10;

                for (uint32_t i = 0; i < ID_MAPPINGS_MAX; i++)
                        assert_int_equal(id_mappings_add(&u.uids, &(IdMapping){i, first + 2 * i, 1},
                                                         &e),
                                         0);
                assert_int_equal(user_namespace_check(&u, &e), fits ? 0 : CTR_INVALID_ARGUMENT);
                if (!fits)
                        assert_non_null(strstr(error_text(&e), "UIDMappings: 340 mappings"));
        }
}

static void test_check(void **state) {
        static const struct {
                UserNamespaceMode mode;
                uint32_t size;
                IdMapping uid, gid; /* of size 0: none */
                const char *error;
        } cases[] = {
                        {USER_NAMESPACE_HOST, 0, {}, {}, NULL},
                        {USER_NAMESPACE_AUTO, 0, {}, {}, NULL},
                        {USER_NAMESPACE_AUTO, 1, {}, {}, NULL},
                        {USER_NAMESPACE_MAPPED, 0, {0, 1, 1}, {}, NULL},
                        {USER_NAMESPACE_MAPPED, 0, {0, 1, 1}, {0, 2, 1}, NULL},
                        {USER_NAMESPACE_HOST, 5, {}, {}, "only an automatic"},
                        {USER_NAMESPACE_MAPPED, 5, {0, 1, 1}, {}, "only an automatic"},
                        {USER_NAMESPACE_AUTO, UINT32_MAX, {}, {}, "4294967295 is more than"},
                        {USER_NAMESPACE_HOST,
                         0,
                         {0, 1, 1},
                         {},
                         "Option UIDMappings: the user "
                         "namespace is \"host\""},
                        {USER_NAMESPACE_AUTO,
                         0,
                         {},
                         {0, 1, 1},
                         "Option GIDMappings: the user "
                         "namespace is \"auto\""},
                        {USER_NAMESPACE_MAPPED, 0, {}, {}, "a mapped user namespace needs them"},
                        {USER_NAMESPACE_MAPPED, 0, {}, {0, 1, 1}, "needs them"},
                        {USER_NAMESPACE_MAPPED, 0, {1, 1, 1}, {}, "UIDMappings: id 0"},
                        {USER_NAMESPACE_MAPPED, 0, {0, 1, 1}, {1, 1, 1}, "GIDMappings: id 0"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(user_namespace_clear) UserNamespace u = {
                                .mode = cases[i].mode,
                                .size = cases[i].size,
                };
                _cleanup_error_ Error e = ERROR_NULL;
                int r = 0;

                if (cases[i].uid.size > 0)
                        r = id_mappings_add(&u.uids, &cases[i].uid, &e);
                if (r == 0 && cases[i].gid.size > 0)
                        r = id_mappings_add(&u.gids, &cases[i].gid, &e);
                assert_int_equal(r, 0);
                r = user_namespace_check(&u, &e);
                assert_int_equal(r, cases[i].error ? CTR_INVALID_ARGUMENT : 0);
                if (r != 0)
                        assert_non_null(strstr(error_text(&e), cases[i].error));
                else
                        assert_int_equal(u.uids.n, u.gids.n);
        }
}

static int load(const Harness *h, const char *user, IdPool *p, Error *e) {
        char etc[128], nspawn[128];

        (void) snprintf(etc, sizeof(etc), "%s/etc", h->dir);
        (void) snprintf(nspawn, sizeof(nspawn), "%s/nspawn", h->dir);
        return id_pool_load(&(IdPoolSource){.user = user, .etc_dir = etc, .nspawn_dir = nspawn}, p,
                            e);
}

static uint32_t choose(IdPool *p, uint32_t size, const char *id) {
        uint32_t start = 0;

        assert_true(id_pool_choose(p, size, "default", id, &start));
        assert_int_equal(id_ranges_add(&p->used, start, size), 0);
        return start;
}

/* What is no line of subuid(5) is passed over; an id counts if it is in both files. */
static void test_subordinate(void **state) {
        _cleanup_(id_pool_clear) IdPool p = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        uint32_t start;

        make_directory(h, "etc");
        write_file(h, "etc/subuid",
                   "other:1:1000000\ncontainers:1000:100\n# no\ncontainers:x:5\ncontainers:5:0\n"
                   "containers:1:4294967295\ncontainers:1:2:3\ncontainersX:1:2\n"
                   "containers:3000000000:1000000000\n");
        write_file(h, "etc/subgid", "containers:1050:100\ncontainers:3000000000:50");
        assert_int_equal(load(h, NULL, &p, &e), 0);
        assert_int_equal(choose(&p, 20, "a"), 1050);
        assert_int_equal(choose(&p, 20, "b"), 1070);
        assert_int_equal(choose(&p, 20, "c"), 3000000000U);
        assert_int_equal(choose(&p, 10, "d"), 1090);
        assert_int_equal(choose(&p, 30, "e"), 3000000020U);
        assert_false(id_pool_choose(&p, 1, "default", "f", &start));
}

/* What touches or overlaps is one range, and many are no work. */
static void test_subordinate_many(void **state) {
        _cleanup_(id_pool_clear) IdPool p = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        Harness *h = *state;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        assert_non_null(f);
        for (unsigned i = 0; i < 100000; i++)
                (void) fprintf(f, "containers:%u:1\n", 500000 - 3 * i);
        (void) fprintf(f, "containers:1050:50\ncontainers:1000:50\ncontainers:1020:10\n");
        assert_int_equal(fclose(f), 0);
        make_directory(h, "etc");
        write_file(h, "etc/subuid", text);
        write_file(h, "etc/subgid", text);
        assert_int_equal(load(h, NULL, &p, &e), 0);
        assert_int_equal(p.ranges.n, 100001);
        assert_int_equal(choose(&p, 100, "a"), 1000);
}

static void test_subordinate_wrong(void **state) {
        _cleanup_(id_pool_clear) IdPool p = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;

        make_directory(h, "etc");
        assert_int_equal(load(h, "somebody", &p, &e), CTR_FAILED_PRECONDITION);
        assert_string_equal(error_text(&e),
                            "The user \"somebody\" has no ids in /etc/subuid and /etc/subgid");
        error_clear(&e);
        write_file(h, "etc/subuid", "containers:1000:100\n");
        assert_int_equal(load(h, NULL, &p, &e), CTR_FAILED_PRECONDITION);
        error_clear(&e);
        write_file(h, "etc/subgid", "containers:1100:100\n");
        assert_int_equal(load(h, NULL, &p, &e), CTR_FAILED_PRECONDITION);
        assert_string_equal(
                        error_text(&e),
                        "The user \"containers\" has no id in both /etc/subuid and /etc/subgid");
}

/* Nobody gives any: whole pieces of what systemd reserves, but what others have there. */
static void test_reserved(void **state) {
        _cleanup_(id_pool_clear) IdPool p = {}, q = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        uint32_t first, again, next;

        make_directory(h, "etc");
        make_directory(h, "nspawn");
        assert_int_equal(load(h, NULL, &p, &e), 0);
        first = choose(&p, 65536, "box");
        assert_int_equal(first % 65536, 0);
        assert_true(first >= 524288 && first <= 1878982656);
        next = choose(&p, 65536, "box");
        assert_int_not_equal(first, next);
        assert_int_not_equal(choose(&p, 65536, "other"), first);

        /* the same name has the same ids, unless somebody else has one of them */
        assert_int_equal(load(h, "", &q, &e), 0);
        again = choose(&q, 65536, "box");
        assert_int_equal(again, first);
        for (unsigned i = 0; i < 3; i++) {
                static const char *const files[] = {"etc/subgid", "etc/passwd", "nspawn/%u"};
                char text[128], path[64];

                (void) snprintf(text, sizeof(text),
                                i == 0 ? "x:%u:5\n" : "root:x:0:0::/:\nx:x:%u:0::/:\n", first + 9);
                if (i == 2)
                        (void) snprintf(path, sizeof(path), "nspawn/%u", first);
                write_file(h, i == 2 ? path : files[i], text);
                id_pool_clear(&q);
                q = (IdPool){};
                assert_int_equal(load(h, "", &q, &e), 0);
                assert_int_not_equal(choose(&q, 65536, "box"), first);
                if (i < 2)
                        write_file(h, files[i], "");
        }
}

/* Random sizes come and go: never two that have an id in common, and never a gap that was not seen.
 */
static void test_random(void **state) {
        enum {
                N = 64,
                POOL = 1000
        };
        struct {
                uint32_t start, size;
        } held[N] = {};
        unsigned seed = 4711;

        for (unsigned round = 0; round < 4000; round++) {
                _cleanup_(id_pool_clear) IdPool p = {.alignment = 1};
                uint32_t k = (uint32_t) rand_r(&seed) % N, size, start;
                uint8_t taken[POOL] = {};
                unsigned longest = 0;

                if (held[k].size > 0) {
                        held[k].size = 0;
                        continue;
                }
                assert_int_equal(id_ranges_add(&p.ranges, 5000, POOL), 0);
                for (size_t i = 0; i < N; i++) {
                        if (held[i].size == 0)
                                continue;
                        assert_int_equal(id_ranges_add(&p.used, held[i].start, held[i].size), 0);
                        memset(taken + held[i].start - 5000, 1, held[i].size);
                }
                for (unsigned i = 0, run = 0; i < POOL; i++) {
                        run = taken[i] ? 0 : run + 1;
                        longest = MAX_OF(longest, run);
                }
                size = (uint32_t) rand_r(&seed) % 60 + 1;
                assert_int_equal(id_pool_choose(&p, size, "n", "i", &start), size <= longest);
                if (size > longest)
                        continue;
                assert_true(start >= 5000 && start + size <= 5000 + POOL);
                for (uint32_t i = 0; i < size; i++)
                        assert_int_equal(taken[start - 5000 + i], 0);
                held[k].start = start;
                held[k].size = size;
        }
}

static int create(Harness *h, const char *id, UserNamespaceMode mode, uint32_t size,
                  Container **ret, Error *e) {
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) id,
                        .image = (char *) "localhost/test:latest",
                        .user_namespace = {.mode = mode, .size = size},
        };

        harness_image(h);
        return container_create(h->manager, &request, ret, e);
}

static Container *find(Harness *h, const char *id) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c;

        assert_int_equal(container_find(h->manager, "default", id, &c, &e), 0);
        return c;
}

/* A range is the container's over a crash of the manager, and somebody else's only when it has been
 * deleted. */
static void test_containers(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer deleted = {};
        Harness *h = *state;
        Container *c;

        make_directory(h, "etc");
        write_file(h, "etc/subuid", "containers:100000:200\n");
        write_file(h, "etc/subgid", "containers:100000:200\n");
        assert_int_equal(create(h, "host", USER_NAMESPACE_HOST, 0, &c, &e), 0);
        assert_int_equal(c->user_namespace.uids.n, 0);
        assert_int_equal(create(h, "a", USER_NAMESPACE_AUTO, 120, &c, &e), 0);
        assert_int_equal(c->user_namespace.uids.list[0].host, 100000);
        assert_int_equal(c->user_namespace.gids.list[0].size, 120);
        assert_int_equal(create(h, "b", USER_NAMESPACE_AUTO, 81, &c, &e), CTR_RESOURCE_EXHAUSTED);
        assert_string_equal(error_text(&e), "No 81 ids in a row are free for a user namespace, of "
                                            "those in /etc/subuid and /etc/subgid");
        error_clear(&e);

        harness_restart(h);
        c = find(h, "a");
        assert_int_equal(c->user_namespace.mode, USER_NAMESPACE_AUTO);
        assert_int_equal(c->user_namespace.uids.list[0].host, 100000);
        assert_int_equal(find(h, "host")->user_namespace.mode, USER_NAMESPACE_HOST);
        assert_int_equal(create(h, "b", USER_NAMESPACE_AUTO, 80, &c, &e), 0);
        assert_int_equal(c->user_namespace.uids.list[0].host, 100120);

        assert_int_equal(container_delete(find(h, "a"), 0, answer_callback, &deleted, &e), 0);
        harness_wait(h, &deleted.done);
        assert_int_equal(deleted.r, 0);
        assert_int_equal(create(h, "c", USER_NAMESPACE_AUTO, 120, &c, &e), 0);
        assert_int_equal(c->user_namespace.uids.list[0].host, 100000);
}

static void damage(Harness *h, const char *column, const char *id, const char *value) {
        char sql[256];

        (void) snprintf(sql, sizeof(sql), "UPDATE containers SET %s = '%s' WHERE id = '%s'", column,
                        value, id);
        harness_sql(h->manager->db->handle, sql);
        harness_restart(h);
}

/* The ids of a container with a damaged row are those of its document; if that is damaged, too, no
 * others are given. */
static void test_damaged(void **state) {
        static const char *const values[] = {
                        "{\"mode\":\"auto\"}",
                        "{\"mode\":\"none\"}",
                        "[",
                        "[]",
                        "{\"mode\":\"auto\",\"uids\":7}",
                        "{\"uids\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}"};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer deleted = {};
        Harness *h = *state;
        Container *c;

        make_directory(h, "etc");
        write_file(h, "etc/subuid", "containers:7000:9\n");
        write_file(h, "etc/subgid", "containers:7000:9\n");
        assert_int_equal(create(h, "a", USER_NAMESPACE_AUTO, 5, &c, &e), 0);
        assert_int_equal(create(h, "host", USER_NAMESPACE_HOST, 0, &c, &e), 0);
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                damage(h, "user_namespace", "a", values[i]);
                c = find(h, "a");
                assert_int_equal(c->user_namespace.mode, USER_NAMESPACE_MAPPED);
                assert_int_equal(c->user_namespace.uids.n, 1);
                assert_int_equal(c->user_namespace.uids.list[0].host, 7000);
                assert_int_equal(c->user_namespace.gids.list[0].size, 5);
                assert_int_equal(create(h, "b", USER_NAMESPACE_AUTO, 5, &c, &e),
                                 CTR_RESOURCE_EXHAUSTED);
                error_clear(&e);
        }
        damage(h, "user_namespace", "host", "[");
        assert_int_equal(find(h, "host")->user_namespace.mode, USER_NAMESPACE_HOST);

        damage(h, "spec", "a", "{");
        assert_int_equal(find(h, "a")->user_namespace.mode, USER_NAMESPACE_MAPPED);
        assert_int_equal(create(h, "b", USER_NAMESPACE_AUTO, 1, &c, &e), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(error_text(&e), "container \"a\""));
        error_clear(&e);
        assert_int_equal(container_delete(find(h, "a"), 0, answer_callback, &deleted, &e), 0);
        harness_wait(h, &deleted.done);
        assert_int_equal(create(h, "b", USER_NAMESPACE_AUTO, 9, &c, &e), 0);
}

/* The document has what the container has. */
static void test_document(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *spec = NULL;
        Harness *h = *state;
        Container *c;

        make_directory(h, "etc");
        write_file(h, "etc/subuid", "containers:7000:9\n");
        write_file(h, "etc/subgid", "containers:7000:9\n");
        assert_int_equal(create(h, "a", USER_NAMESPACE_AUTO, 4, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &spec, &e), 0);
        assert_non_null(strstr(spec, "\"uidMappings\":[{\"containerID\":0,\"hostID\":7000,"
                                     "\"size\":4}]"));
        assert_non_null(strstr(spec, "\"gidMappings\":[{\"containerID\":0,\"hostID\":7000,"
                                     "\"size\":4}]"));
        assert_non_null(strstr(spec, "{\"type\":\"user\"}"));
        assert_null(strstr(spec, "gid=5")); /* which is no id of it */
        free(spec);
        assert_int_equal(create(h, "b", USER_NAMESPACE_HOST, 0, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &spec, &e), 0);
        assert_null(strstr(spec, "Mappings"));
        assert_null(strstr(spec, "{\"type\":\"user\"}"));
        assert_non_null(strstr(spec, "gid=5"));
}

#define WITH_MANAGER(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_mappings),
                        cmocka_unit_test(test_mappings_bound),
                        cmocka_unit_test(test_mappings_length),
                        cmocka_unit_test(test_check),
                        WITH_MANAGER(test_subordinate),
                        WITH_MANAGER(test_subordinate_many),
                        WITH_MANAGER(test_subordinate_wrong),
                        WITH_MANAGER(test_reserved),
                        cmocka_unit_test(test_random),
                        WITH_MANAGER(test_containers),
                        WITH_MANAGER(test_damaged),
                        WITH_MANAGER(test_document),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
