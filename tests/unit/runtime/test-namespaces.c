/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Namespaces that are another process's or the host's, and clocks of the container's own. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "fixture.h"

static void test_time_namespace(void **state) {
        Fixture *f = *state;

        fixture_append(f, "linux.namespaces", "{\"type\": \"time\"}");
        fixture_set(f, "linux.timeOffsets",
                    "{\"monotonic\": {\"secs\": 86400, \"nanosecs\": 5},"
                    " \"boottime\": {\"nanosecs\": 999999999}}");
        fixture_script(f, "while read clock secs nanosecs; do echo $clock $secs $nanosecs;"
                          " done < /proc/self/timens_offsets");
        fixture_expect(f, "monotonic 86400 5\nboottime 0 999999999\n");
        fixture_set(f, "linux.timeOffsets", "{\"boottime\": {\"secs\": 1000000000}}");
        fixture_script(f, "read up idle < /proc/uptime; [ ${up%.*} -gt 1000000000 ] && echo yes");
        fixture_expect(f, "yes\n");
}

/* A container that joins what a process of ours has. */
static void test_joined_namespaces(void **state) {
        Fixture *f = *state;
        char json[512], expected[256] = "", path[64];
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0 ||
                    sethostname("theirs", 6) < 0 || write(fds[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        assert_int_equal(read(fds[0], json, 1), 1);
        (void) snprintf(json, sizeof(json),
                        "[{\"type\": \"pid\", \"path\": \"/proc/self/ns/pid\"},"
                        " {\"type\": \"network\", \"path\": \"/proc/%d/ns/net\"},"
                        " {\"type\": \"uts\", \"path\": \"/proc/%d/ns/uts\"},"
                        " {\"type\": \"ipc\", \"path\": \"/proc/%d/ns/ipc\"},"
                        " {\"type\": \"mount\"},"
                        " {\"type\": \"cgroup\", \"path\": \"/proc/%d/ns/cgroup\"}]",
                        pid, pid, pid, pid);
        fixture_set(f, "linux.namespaces", json);
        fixture_set(f, "hostname", "null");
        fixture_script(f, "hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/cgroup");
        strcpy(expected, "theirs\n");
        for (int i = 0; i < 2; i++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid,
                                i == 0 ? "net" : "cgroup");
                assert_true(readlink(path, expected + strlen(expected), 100) > 0);
                strcat(expected, "\n");
        }
        fixture_expect(f, expected);
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        fd_close(fds[0]);
        fd_close(fds[1]);
}

/* Its root is the fixture's, with a /proc. */
_noreturn_ static void run_in_own_mounts(const Fixture *f, int ready_fd) {
        char root[128];

        (void) snprintf(root, sizeof(root), "%s/rootfs", f->dir);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(root, root, NULL, MS_BIND, NULL) < 0 || chdir(root) < 0 ||
            mkdir("proc", 0755) < 0 || mount("proc", "proc", "proc", 0, NULL) < 0 ||
            syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
            write(ready_fd, "x", 1) != 1)
                _exit(1);
        for (;;)
                (void) pause();
}

/* The files are another process's, and stay as they are. */
static void test_joined_mounts(void **state) {
        static const struct {
                const char *path, *value, *part;
        } refused[] = {
                        {"mounts", "[{\"destination\": \"/x\", \"type\": \"tmpfs\"}]",
                         "mounts: not"},
                        {"linux.maskedPaths", "[\"/x\"]", "linux.maskedPaths: not together with"},
                        {"linux.readonlyPaths", "[\"/x\"]", "linux.readonlyPaths: not"},
                        {"root.readonly", "true", "root.readonly: not"},
        };
        _cleanup_free_ char *before = NULL, *after = NULL;
        Fixture *f = *state;
        char json[256], path[64], link[128] = "", expected[256];
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                run_in_own_mounts(f, fds[1]);
        assert_int_equal(read(fds[0], json, 1), 1);
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        assert_true(readlink(path, link, sizeof(link) - 1) > 0);
        (void) snprintf(json, sizeof(json),
                        "[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"uts\"},"
                        " {\"type\": \"mount\", \"path\": \"%s\"}]",
                        path);
        fixture_set(f, "linux.namespaces", json);
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                fixture_set(f, "mounts", "[]");
                fixture_set(f, "linux.maskedPaths", "[]");
                fixture_set(f, "linux.readonlyPaths", "[]");
                fixture_set(f, refused[i].path, refused[i].value);
                fixture_expect_failure(f, STEP_NEW, CTR_NOT_IMPLEMENTED, refused[i].part);
        }
        fixture_set(f, "root.readonly", "false");
        fixture_expect_failure(f, STEP_NEW, CTR_INVALID_ARGUMENT, "root.path: expected \"/\"");

        (void) snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
        assert_int_equal(file_read_at(AT_FDCWD, path, 65536, &before, NULL), 0);
        fixture_set(f, "root.path", "\"/\"");
        fixture_set(f, "process.cwd", "\"/tmp\"");
        fixture_script(f, "readlink /proc/self/ns/mnt; pwd; ls -d /bin/busybox /var 2>&1; echo $$");
        (void) snprintf(expected, sizeof(expected),
                        "%s\n/tmp\nls: /var: No such file or directory\n/bin/busybox\n1\n", link);
        fixture_expect(f, expected);
        assert_int_equal(file_read_at(AT_FDCWD, path, 65536, &after, NULL), 0);
        assert_string_equal(after, before);
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        fd_close(fds[0]);
        fd_close(fds[1]);
}

static void test_host_namespaces(void **state) {
        Fixture *f = *state;
        char net[64] = "";

        fixture_set(f, "linux.namespaces",
                    "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]");
        fixture_set(f, "hostname", "null");
        fixture_script(f, "readlink /proc/self/ns/net");
        assert_true(readlink("/proc/self/ns/net", net, sizeof(net) - 2) > 0);
        strcat(net, "\n");
        fixture_expect(f, net);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_time_namespace),
                        TEST(test_joined_namespaces),
                        TEST(test_joined_mounts),
                        TEST(test_host_namespaces),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
