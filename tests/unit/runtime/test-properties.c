/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Properties that few documents have: what the kernel's schedulers are told, labels, a tmpfs that
 * begins with what was there, idmapped mounts that cannot be. */

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "fixture.h"
#include "runtime/lsm.h"

static int empty_file(int dir_fd, const char *path) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        return fd < 0 ? -errno : 0;
}

static void test_scheduler(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.scheduler",
                    "{\"policy\": \"SCHED_BATCH\", \"nice\": 5, \"flags\":"
                    " [\"SCHED_FLAG_RESET_ON_FORK\"]}");
        /* the fields of nice and policy */
        fixture_script(f, "read x < /proc/1/stat; set -- $x; echo ${19} ${41}");
        fixture_expect(f, "5 3\n");
        fixture_set(f, "process.scheduler", "{\"policy\": \"SCHED_OTHER\", \"nice\": 7}");
        fixture_expect(f, "7 0\n");
        /* those of rt_priority and policy */
        fixture_set(f, "process.scheduler", "{\"policy\": \"SCHED_RR\", \"priority\": 3}");
        fixture_script(f, "read x < /proc/1/stat; set -- $x; echo ${40} ${41}");
        if (fixture_run(f)->code != -EPERM)
                fixture_expect(f, "3 2\n");
        fixture_set(f, "process.scheduler", "{\"policy\": \"SCHED_IDLE\"}");
        fixture_expect(f, "0 5\n");
        /* more than the kernel takes */
        fixture_set(f, "process.scheduler",
                    "{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 1, \"deadline\": 1,"
                    " \"period\": 1}");
        fixture_expect_failure(f, STEP_ENTER, -EINVAL, "Failed to set process.scheduler");
}

static void test_io_priority(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.ioPriority", "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 6}");
        fixture_script(f, "busybox ionice -p 1");
        fixture_expect(f, "best-effort: prio 6\n");
        fixture_set(f, "process.ioPriority", "{\"class\": \"IOPRIO_CLASS_IDLE\", \"priority\": 0}");
        assert_non_null(strstr(fixture_run(f)->output, "idle"));
}

static void test_memory_policy(void **state) {
        Fixture *f = *state;

        if (access("/proc/self/numa_maps", F_OK) < 0)
                skip();
        fixture_set(f, "linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\"}");
        fixture_script(f, "grep -c bind:0 /proc/self/numa_maps > /dev/null && echo bound");
        fixture_expect(f, "bound\n");
        fixture_set(f, "linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\"}");
        fixture_expect_failure(f, STEP_ENTER, -EINVAL, "Failed to set linux.memoryPolicy");
}

static void test_labels(void **state) {
        Fixture *f = *state;

        if (access("/sys/fs/selinux/enforce", F_OK) >= 0 ||
            access("/sys/module/apparmor/parameters/enabled", F_OK) >= 0)
                skip();
        fixture_set(f, "process.apparmorProfile", "\"profile\"");
        fixture_expect_failure(f, STEP_NEW, CTR_NOT_IMPLEMENTED,
                               "process.apparmorProfile: AppArmor is not enabled here");
        fixture_set(f, "process.apparmorProfile", "\"\"");
        fixture_set(f, "process.selinuxLabel", "\"a:b:c\"");
        fixture_expect_failure(f, STEP_NEW, CTR_NOT_IMPLEMENTED,
                               "process.selinuxLabel: SELinux is not enabled here");
        fixture_set(f, "process.selinuxLabel", "\"\"");
        fixture_set(f, "linux.mountLabel", "\"a:b:c\"");
        fixture_expect_failure(f, STEP_NEW, CTR_NOT_IMPLEMENTED,
                               "linux.mountLabel: SELinux is not enabled here");
}

/* What the kernel would take is written to a directory instead of /proc. */
static void test_labels_written(void **state) {
        _cleanup_close_ int fd = -1, proc_fd = -1;
        _cleanup_error_ Error e = ERROR_NULL;
        Fixture *f = *state;

        fd = dir_open_make_at(f->dir_fd, "proc/thread-self/attr/apparmor", 0700);
        assert_true(fd >= 0);
        fd = fd_close(fd);
        proc_fd = openat(f->dir_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(lsm_apply(proc_fd, "profile", NULL, &e), CTR_NOT_FOUND);
        assert_non_null(strstr(error_text(&e), "process.apparmorProfile \"profile\""));
        for (int i = 0; i < 2; i++) {
                static const char *const names[] = {"exec", "apparmor/exec"};
                static const char *const written[] = {"exec profile", "a:b:c"};
                _cleanup_free_ char *text = NULL, *label = NULL;
                char path[64];

                /* the file of old kernels, then the one of AppArmor's own */
                (void) snprintf(path, sizeof(path), "proc/thread-self/attr/%s", names[i]);
                fd = openat(f->dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                assert_true(fd >= 0);
                fd = fd_close(fd);
                error_clear(&e);
                assert_int_equal(lsm_apply(proc_fd, "profile", NULL, &e), 0);
                assert_int_equal(file_read_at(f->dir_fd, path, 64, &text, NULL), 0);
                assert_string_equal(text, written[0]);
                assert_int_equal(empty_file(f->dir_fd, "proc/thread-self/attr/exec"), 0);
                assert_int_equal(lsm_apply(proc_fd, NULL, written[1], &e), 0);
                assert_int_equal(file_read_at(f->dir_fd, "proc/thread-self/attr/exec", 64, &label,
                                              NULL),
                                 0);
                assert_string_equal(label, written[1]);
        }
}

static void test_copy_up(void **state) {
        Fixture *f = *state;

        fixture_directory(f, "data", 0755);
        fixture_directory(f, "data/deep", 0750);
        fixture_file(f, "data/file", "text\n", 0646);
        fixture_file(f, "data/deep/er", "", 0600);
        fixture_link(f, "/etc/passwd", "data/link");
        assert_int_equal(fchownat(f->root_fd, "data/file", 7, 8, 0), 0);
        assert_int_equal(mkfifoat(f->root_fd, "data/pipe", 0600), 0);
        fixture_append(f, "mounts",
                       "{\"destination\": \"/data\", \"type\": \"tmpfs\","
                       " \"options\": [\"tmpcopyup\", \"mode=755\"]}");
        fixture_script(f, "cd /data && stat -c '%n %a %u:%g %F' file deep deep/er link pipe;"
                          " readlink link; cat file; echo more > file; stat -f -c %T /data");
        fixture_expect(f, "file 646 7:8 regular file\ndeep 750 0:0 directory\n"
                          "deep/er 600 0:0 regular empty file\nlink 777 0:0 symbolic link\n"
                          "pipe 600 0:0 fifo\n/etc/passwd\ntext\ntmpfs\n");
        {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(file_read_at(f->root_fd, "data/file", 64, &text, NULL), 0);
                assert_string_equal(text, "text\n");
        }
        fixture_set(f, "mounts",
                    "[{\"destination\": \"/data\", \"type\": \"tmpfs\","
                    " \"options\": [\"tmpcopyup\", \"nr_inodes=3\"]}]");
        fixture_expect_failure(f, STEP_ENTER, -ENOSPC, "mounts: Failed to copy up /data: ");
}

/* In a network namespace of the test's own, which takes the host's part. */
static void test_net_devices(void **state) {
        Fixture *f = *state;

        assert_int_equal(unshare(CLONE_NEWNET), 0);
        if (system("ip tuntap add ctr0 mode tap && ip tuntap add ctr1 mode tap &&"
                   " ip address add 10.9.8.7/24 dev ctr0 && ip address add fd00::7/64 dev ctr0") !=
            0)
                skip();
        fixture_set(f, "linux.netDevices",
                    "{\"ctr0\": {\"name\": \"in0\"}, \"ctr1\": {\"name\": \"x%d\"}}");
        fixture_script(f, "busybox ip -o address show dev in0 | grep -oE 'inet6? [^ ]*/(24|64)';"
                          " ls /sys/class/net; busybox ip link show dev in0 | grep -o ,UP;"
                          " busybox ip link show dev x0 | grep -o ,UP");
        fixture_expect(f, "inet 10.9.8.7/24\ninet6 fd00::7/64\nin0\nlo\nx0\n,UP\n,UP\n");
        /* gone with the container's namespace */
        fixture_expect_failure(f, STEP_ENTER, CTR_NOT_FOUND,
                               "linux.netDevices.ctr0: no such network device");
        assert_int_equal(system("ip tuntap add ctr0 mode tap"), 0);
        fixture_set(f, "linux.netDevices", "{\"ctr0\": {\"name\": \"lo\"}}");
        fixture_expect_failure(f, STEP_ENTER, CTR_ALREADY_EXISTS,
                               "linux.netDevices.ctr0.name: \"lo\" exists in the container");
        assert_int_equal(system("ip link show dev ctr0 > /dev/null"), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_scheduler),      TEST(test_io_priority), TEST(test_memory_policy),
                        TEST(test_labels),         TEST(test_copy_up),     TEST(test_net_devices),
                        TEST(test_labels_written),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
