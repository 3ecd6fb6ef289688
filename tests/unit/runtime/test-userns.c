/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Containers with a user namespace: who they are inside and outside, whose their files are, what
 * they may do with the host. */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "fixture.h"

#define HOST_ID 100000

static void use_namespace(Fixture *f) {
        fixture_append(f, "linux.namespaces", "{\"type\": \"user\"}");
        fixture_set(f, "linux.uidMappings",
                    "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]");
        fixture_set(f, "linux.gidMappings",
                    "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]");
}

/* The root directory of a bundle is for its caller to prepare: it is not mapped. */
static void give_root(Fixture *f) {
        assert_int_equal(fchown(f->root_fd, HOST_ID, HOST_ID), 0);
}

static void test_ids(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        give_root(f);
        fixture_script(f, "id -u; id -g; id -G; cat /proc/self/uid_map; touch /mine;"
                          " stat -c %u:%g /mine /bin/busybox; ls -l /proc/self/ns/user > /dev/null;"
                          " hostname");
        fixture_expect(f, "0\n0\n0\n         0     100000      65536\n0:0\n65534:65534\ntestbox\n");
        {
                struct stat st;

                assert_int_equal(fstatat(f->root_fd, "mine", &st, 0), 0);
                assert_int_equal(st.st_uid, HOST_ID);
                assert_int_equal(st.st_gid, HOST_ID);
        }
}

static void test_user(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        give_root(f);
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1001, \"additionalGids\": [5]}");
        fixture_script(f,
                       "grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo again > /dev/stdout");
        fixture_expect(f, "Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\n"
                          "Groups:\t5 \nagain\n");
        fixture_set(f, "process.user", "{\"uid\": 65536, \"gid\": 0}");
        fixture_expect_failure(f, STEP_ENTER, -EINVAL, "Invalid argument");
}

/* What the namespace owns is its own, the host's is not. */
static void test_rights(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        give_root(f);
        fixture_set(f, "linux.sysctl", "{\"net.ipv4.ip_forward\": \"1\"}");
        fixture_script(f, "cat /proc/sys/net/ipv4/ip_forward; echo x > /dev/null && echo null;"
                          " stat -c %t:%T /dev/zero; ls /sys/class > /dev/null && echo sys;"
                          " cat /proc/kcore; echo 1 > /proc/sys/kernel/panic; echo end");
        {
                const Outcome *o = fixture_run(f);

                assert_string_equal(o->error, "");
                assert_non_null(strstr(o->output, "1\nnull\n1:5\nsys\n"));
                assert_non_null(strstr(o->output, "/proc/sys/kernel/panic"));
        }
}

/* Layers hold the container's ids; not one of their files is touched. */
static void make_layers(Fixture *f) {
        fixture_file(f, "owned", "text\n", 0666);
        assert_int_equal(fchownat(f->root_fd, "owned", 1000, 1001, 0), 0);
        assert_int_equal(mkdirat(f->dir_fd, "second", 0755), 0);
        assert_int_equal(mkdirat(f->dir_fd, "upper", 0755), 0);
        assert_int_equal(mkdirat(f->dir_fd, "work", 0755), 0);
        assert_true(asprintf(&f->lower, "%s/second:%s/rootfs", f->dir, f->dir) > 0);
        assert_true(asprintf(&f->upper, "%s/upper", f->dir) > 0);
        assert_true(asprintf(&f->work, "%s/work", f->dir) > 0);
}

static void test_layers(void **state) {
        Fixture *f = *state;
        struct stat st;

        use_namespace(f);
        make_layers(f);
        fixture_script(f, "stat -c %u:%g / /bin/busybox /owned; cat /owned; echo more >> /owned;"
                          " touch /new; stat -c %u:%g /new /owned");
        fixture_expect(f, "0:0\n0:0\n1000:1001\ntext\n0:0\n1000:1001\n");
        assert_int_equal(fstatat(f->root_fd, "owned", &st, 0), 0);
        assert_int_equal(st.st_uid, 1000);
        assert_int_equal(st.st_size, 5);
        /* what was written has the container's ids, too, so that it can become a layer */
        assert_int_equal(fstatat(f->dir_fd, "upper/new", &st, 0), 0);
        assert_int_equal(st.st_uid, 0);
        assert_int_equal(fstatat(f->dir_fd, "upper/owned", &st, 0), 0);
        assert_int_equal(st.st_uid, 1000);
        assert_int_equal(st.st_gid, 1001);
}

static void test_single_layer(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        assert_true(asprintf(&f->lower, "%s/rootfs", f->dir) > 0);
        for (int i = 0; i < 6; i++) {
                static const char *const points[] = {"proc",    "dev",        "sys",
                                                     "dev/pts", "dev/mqueue", "sys/fs"};

                (void) mkdirat(f->root_fd, points[i], 0755);
        }
        fixture_script(f, "stat -c %u:%g /bin/busybox; touch /x; echo end");
        assert_non_null(strstr(fixture_run(f)->output, "0:0\ntouch: /x: Read-only file system"));
}

static void test_mounts(void **state) {
        Fixture *f = *state;
        struct stat st;

        use_namespace(f);
        give_root(f);
        assert_int_equal(mkdirat(f->dir_fd, "volume", 0755), 0);
        fixture_append(f, "mounts",
                       "{\"destination\": \"/plain\", \"source\": \"volume\","
                       " \"options\": [\"bind\"]}");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/mapped\", \"source\": \"volume\","
                       " \"options\": [\"rbind\", \"ridmap\"]}");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/other\", \"source\": \"volume\","
                       " \"options\": [\"bind\", \"idmap\"],"
                       " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 100007, \"size\": 1}],"
                       " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 100008, \"size\": "
                       "1}]}");
        fixture_script(f, "stat -c %u:%g /plain /mapped /other; touch /mapped/file");
        fixture_expect(f, "65534:65534\n0:0\n7:8\n");
        assert_int_equal(fstatat(f->dir_fd, "volume/file", &st, 0), 0);
        assert_int_equal(st.st_uid, 0);
}

/* A mapped mount in a container without a user namespace. */
static void test_mapped_mount_alone(void **state) {
        Fixture *f = *state;

        assert_int_equal(mkdirat(f->dir_fd, "volume", 0755), 0);
        fixture_append(f, "mounts",
                       "{\"destination\": \"/other\", \"source\": \"volume\","
                       " \"options\": [\"bind\", \"idmap\"],"
                       " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 7, \"size\": 1}],"
                       " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 8, \"size\": 1}]}");
        fixture_script(f, "stat -c %u:%g /other");
        fixture_expect(f, "7:8\n");
}

static void test_failures(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        give_root(f);
        fixture_set(f, "linux.devices",
                    "[{\"path\": \"/dev/none\", \"type\": \"c\", \"major\": 99, \"minor\": 3}]");
        fixture_expect_failure(f, STEP_ENTER, -ENOENT, "devices: Failed to open the host's");
        fixture_set(f, "linux.devices",
                    "[{\"path\": \"/dev/null\", \"type\": \"c\", \"major\": 99, \"minor\": 3}]");
        fixture_expect_failure(f, STEP_ENTER, -ENODEV, "is not the device 99:3");
        fixture_set(f, "linux.devices", "[]");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/x\", \"source\": \"missing\","
                       " \"options\": [\"bind\"]}");
        fixture_expect_failure(f, STEP_CLONE, CTR_NOT_FOUND, "mounts: Failed to open missing");
}

static void test_terminal(void **state) {
        Fixture *f = *state;

        use_namespace(f);
        give_root(f);
        fixture_set(f, "process.terminal", "true");
        fixture_set(f, "process.args", "[\"tty\"]");
        fixture_expect(f, "/dev/pts/0\r\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_ids),
                        TEST(test_user),
                        TEST(test_rights),
                        TEST(test_layers),
                        TEST(test_single_layer),
                        TEST(test_mounts),
                        TEST(test_mapped_mount_alone),
                        TEST(test_failures),
                        TEST(test_terminal),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
