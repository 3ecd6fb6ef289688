/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of its maker a container could get at: capabilities, descriptors, keys, and a /proc that is
 * not where it seems. */

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "basic/fs.h"
#include "fixture.h"

/* CVE-2022-29162: what a caller passes on by inheritance is not the container's. */
static void test_inheritable(void **state) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct before[2], data[2];
        Fixture *f = *state;

        assert_int_equal(syscall(SYS_capget, &header, before), 0);
        memcpy(data, before, sizeof(data));
        for (size_t i = 0; i < 2; i++)
                data[i].inheritable = data[i].permitted;
        assert_int_equal(syscall(SYS_capset, &header, data), 0);
        assert_int_equal(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), 0);
        fixture_script(f, "grep -E 'CapInh|CapAmb' /proc/self/status");
        fixture_expect(f, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_set(f, "process.noNewPrivileges", "false");
        fixture_script(f, "grep -E 'CapInh|CapAmb' /proc/self/status");
        fixture_expect(f, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
        assert_int_equal(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), 0);
        assert_int_equal(syscall(SYS_capset, &header, before), 0);
}

/* CVE-2024-21626: the caller's descriptors, those that it forgot to close on exec() as well. */
static void test_descriptors(void **state) {
        Fixture *f = *state;
        int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), leaked[3];

        assert_true(fd >= 0);
        for (size_t i = 0; i < ELEMENTSOF(leaked); i++) {
                leaked[i] = fcntl(fd, F_DUPFD, 40 + 300 * (int) i);
                assert_true(leaked[i] >= 0);
        }
        /* the last one is of ls itself */
        fixture_script(f, "ls /proc/self/fd");
        fixture_expect(f, "0\n1\n2\n3\n");
        for (size_t i = 0; i < ELEMENTSOF(leaked); i++)
                fd_close(leaked[i]);
        fd_close(fd);
}

static bool see_key(const char *name) {
        _cleanup_free_ char *keys = NULL;

        return file_read_at(AT_FDCWD, "/proc/keys", 1U << 20, &keys, NULL) == 0 &&
               strstr(keys, name);
}

/* A key that only who possesses it sees: with the caller's session keyring the container would. */
static void test_keyring(void **state) {
        const long possessor_all = 0x3f000000;
        Fixture *f = *state;
        long keyring;

        keyring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "ctr-test-keyring");
        if (keyring < 0 && (errno == ENOSYS || errno == EPERM || errno == EDQUOT))
                skip();
        assert_true(keyring > 0);
        assert_int_equal(syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, possessor_all), 0);
        if (!see_key("ctr-test-keyring"))
                skip(); /* no /proc/keys here */
        fixture_set(f, "linux.maskedPaths", "[]");
        fixture_script(f, "grep -c ctr-test-keyring /proc/keys; grep -c _ses /proc/keys");
        {
                const Outcome *o = fixture_run(f);

                assert_int_equal(o->failed, STEP_DONE);
                assert_int_equal(strncmp(o->output, "0\n", 2), 0);
                /* but it has one of its own */
                assert_true(strtoul(o->output + 2, NULL, 10) > 0);
        }
}

/* CVE-2023-28642, CVE-2019-19921: /proc is a link, and a mount below it makes it look real. */
static void test_mount_below_linked_proc(void **state) {
        Fixture *f = *state;

        fixture_directory(f, "elsewhere", 0755);
        fixture_file(f, "elsewhere/cpuinfo", "", 0644);
        fixture_remove(f, "proc");
        fixture_link(f, "elsewhere", "proc");
        assert_int_equal(file_write_atomic_at(f->dir_fd, "note", "x", 1, 0644, 0), 0);
        fixture_set(f, "mounts",
                    "[{\"destination\": \"/proc/cpuinfo\", \"source\": \"note\","
                    " \"options\": [\"bind\"]}]");
        fixture_expect_failure(f, STEP_ENTER, -ELOOP, "/proc/cpuinfo is or lies behind a symbolic");
}

/* Masks are complete: a directory is empty, a file is the null device, and neither can be written
 * through or unmounted by who lacks CAP_SYS_ADMIN. */
static void test_masks(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.maskedPaths",
                    "[\"/proc/interrupts\", \"/proc/kcore\", \"/sys/devices/virtual/powercap\","
                    " \"/sys/firmware\", \"/sys/devices/virtual\", \"/nowhere\"]");
        fixture_script(f, "cat /proc/interrupts; stat -c %t:%T /proc/interrupts;"
                          "ls /sys/devices/virtual /sys/firmware | grep -v :;"
                          "touch /sys/devices/virtual/x 2>/dev/null || echo refused");
        fixture_expect(f, "1:3\n\nrefused\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_inheritable), TEST(test_descriptors),
                        TEST(test_keyring),     TEST(test_mount_below_linked_proc),
                        TEST(test_masks),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
