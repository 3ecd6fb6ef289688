/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a container gets to see when all is well: each test runs one. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/fs.h"
#include "fixture.h"
#include "runtime/container.h"

static void test_exit_status(void **state) {
        Fixture *f = *state;

        fixture_expect(f, "");
        fixture_script(f, "echo out; echo err >&2; exit 42");
        assert_int_equal(fixture_run(f)->status, 42);
        assert_string_equal(fixture_run(f)->output, "out\nerr\n");
        /* init of a pid namespace ignores what it has no handler for: a child shows the signal */
        fixture_script(f, "sh -c 'kill -9 $$'; exit $?");
        assert_int_equal(fixture_run(f)->status, 128 + SIGKILL);
}

static void test_environment(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.env", "[\"PATH=/bin\", \"A=b c\", \"EMPTY=\", \"HOME=/mine\"]");
        fixture_set(f, "process.args", "[\"env\"]");
        fixture_expect(f, "PATH=/bin\nA=b c\nEMPTY=\nHOME=/mine\n");
        fixture_set(f, "process.env", "[\"PATH=/bin\"]");
        fixture_expect(f, "PATH=/bin\nHOME=/root\n");
        fixture_set(f, "process.user.uid", "77");
        fixture_expect(f, "PATH=/bin\nHOME=/\n");
}

static void test_directory(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.args", "[\"pwd\"]");
        fixture_set(f, "process.cwd", "\"/tmp\"");
        fixture_expect(f, "/tmp\n");
        /* made if the image lacks it, also where the root is read-only for the program */
        fixture_set(f, "root.readonly", "true");
        fixture_set(f, "process.cwd", "\"/made/for/me\"");
        fixture_expect(f, "/made/for/me\n");
}

static void test_relative_command(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.cwd", "\"/bin\"");
        fixture_set(f, "process.args", "[\"./pwd\"]");
        fixture_expect(f, "/bin\n");
        fixture_set(f, "process.env", "[\"PATH=/nowhere::/bin\"]");
        fixture_set(f, "process.args", "[\"pwd\"]");
        fixture_expect(f, "/bin\n");
}

static void test_user(void **state) {
        static const struct {
                const char *annotation, *id;
        } cases[] = {
                        {"app", "1000 1001 1001 44 63"},
                        {"1000", "1000 1001 1001 44 63"},
                        {"app:staff", "1000 50 50 44 63"},
                        {"app:7", "1000 7 7 44 63"},
                        {"1234", "1234 0 0"},
                        {"1234:5", "1234 5 5"},
                        {"root", "0 0 0 10"},
                        {"", "0 0 0 10"},
                        {"2147483647", "2147483647 0 0"},
        };
        Fixture *f = *state;

        fixture_script(f, "exec 2> /dev/null; echo $(id -u; id -g; id -G)");
        fixture_set(f, "process.user", "{\"uid\": 5, \"gid\": 6, \"additionalGids\": [7, 8]}");
        fixture_expect(f, "5 6 6 7 8\n");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char expected[64];

                assert_int_equal(json_object_set_new(f->document, "annotations",
                                                     json_pack("{s:s}", "org.example.Ctr.user",
                                                               cases[i].annotation)),
                                 0);
                (void) snprintf(expected, sizeof(expected), "%s\n", cases[i].id);
                fixture_expect(f, expected);
        }
}

static void test_user_home(void **state) {
        Fixture *f = *state;

        assert_int_equal(json_object_set_new(f->document, "annotations",
                                             json_pack("{s:s}", "org.example.Ctr.user", "app")),
                         0);
        fixture_set(f, "process.env", "[\"PATH=/bin\"]");
        fixture_script(f, "echo $HOME");
        fixture_expect(f, "/home/app\n");
        fixture_set(f, "process.env", "[\"PATH=/bin\", \"HOME=/mine\"]");
        fixture_expect(f, "/mine\n");
}

static void test_user_writes_to_pipe(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_script(f, "echo again > /dev/stdout");
        fixture_expect(f, "again\n");
}

static void test_umask(void **state) {
        Fixture *f = *state;

        fixture_script(f, "umask");
        fixture_expect(f, "0022\n");
        fixture_set(f, "process.user.umask", "63");
        fixture_expect(f, "0077\n");
}

static void test_capabilities(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.args", "[\"grep\", \"Cap\", \"/proc/self/status\"]");
        /* without no_new_privs, execve() would give root all of the bounding set */
        fixture_expect(f, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000021\n"
                          "CapEff:\t0000000000000021\nCapBnd:\t00000000000000a1\n"
                          "CapAmb:\t0000000000000000\n");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_expect(f, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                          "CapEff:\t0000000000000000\nCapBnd:\t00000000000000a1\n"
                          "CapAmb:\t0000000000000000\n");
        fixture_set(f, "process.capabilities.inheritable", "[\"CAP_CHOWN\", \"CAP_KILL\"]");
        fixture_set(f, "process.capabilities.ambient", "[\"CAP_KILL\"]");
        fixture_expect(f, "CapInh:\t0000000000000021\nCapPrm:\t0000000000000020\n"
                          "CapEff:\t0000000000000020\nCapBnd:\t00000000000000a1\n"
                          "CapAmb:\t0000000000000020\n");
        fixture_set(f, "process.capabilities", "null");
        fixture_set(f, "process.user", "{\"uid\": 0, \"gid\": 0}");
        fixture_expect(f, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                          "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
                          "CapAmb:\t0000000000000000\n");
}

static void test_no_new_privileges(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.args", "[\"grep\", \"NoNewPrivs\", \"/proc/self/status\"]");
        fixture_expect(f, "NoNewPrivs:\t1\n");
        fixture_set(f, "process.noNewPrivileges", "false");
        fixture_expect(f, "NoNewPrivs:\t0\n");
}

static void test_rlimits(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.rlimits",
                    "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 100, \"hard\": 200},"
                    " {\"type\": \"RLIMIT_CORE\", \"soft\": 0, \"hard\": 0}]");
        fixture_script(f, "ulimit -Sn; ulimit -Hn; ulimit -c");
        fixture_expect(f, "100\n200\n0\n");

        /* fewer files than init itself has open */
        fixture_set(f, "process.rlimits",
                    "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 4, \"hard\": 5}]");
        fixture_script(f, "ulimit -Sn; ulimit -Hn");
        fixture_expect(f, "4\n5\n");
}

static void test_oom_score(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.oomScoreAdj", "567");
        fixture_set(f, "process.args", "[\"cat\", \"/proc/self/oom_score_adj\"]");
        fixture_expect(f, "567\n");
}

static void test_names(void **state) {
        Fixture *f = *state;

        fixture_set(f, "domainname", "\"domain\"");
        fixture_script(f, "hostname; cat /proc/sys/kernel/domainname");
        fixture_expect(f, "testbox\ndomain\n");
        fixture_set(f, "hostname", "null");
        fixture_expect(f, "fallback\ndomain\n");
}

static void test_network(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.sysctl",
                    "{\"net.ipv4.ip_forward\": \"1\", \"kernel.msgmax\": \"4242\"}");
        fixture_script(f, "ls /sys/class/net; cat /sys/class/net/lo/operstate;"
                          "cat /sys/class/net/lo/flags; cat /proc/sys/net/ipv4/ip_forward;"
                          "cat /proc/sys/kernel/msgmax");
        /* 0x9: IFF_UP | IFF_LOOPBACK */
        fixture_expect(f, "lo\nunknown\n0x9\n1\n4242\n");
}

static void test_devices(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.devices",
                    "[{\"path\": \"/dev/net/tun\", \"type\": \"c\", \"major\": 10,"
                    "  \"minor\": 200, \"fileMode\": 432, \"uid\": 3, \"gid\": 4},"
                    " {\"path\": \"/queue\", \"type\": \"p\", \"fileMode\": 384}]");
        fixture_script(f, "cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty;"
                          "stat -c '%n %F %t:%T %a %u %g' net/tun /queue;"
                          "for i in fd stdin stdout stderr ptmx; do readlink $i; done;"
                          "echo x > null; ls -d pts shm mqueue");
        fixture_expect(f, "null character special file 1:3 666\n"
                          "zero character special file 1:5 666\n"
                          "full character special file 1:7 666\n"
                          "random character special file 1:8 666\n"
                          "urandom character special file 1:9 666\n"
                          "tty character special file 5:0 666\n"
                          "net/tun character special file a:c8 660 3 4\n"
                          "/queue fifo 0:0 600 0 0\n"
                          "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n"
                          "pts/ptmx\nmqueue\npts\nshm\n");
}

static void test_masks(void **state) {
        Fixture *f = *state;

        fixture_script(f, "cat /proc/keys; ls /sys/firmware; touch /sys/firmware/x;"
                          "echo 1 > /proc/sys/kernel/panic; echo $?");
        fixture_expect(f, "touch: /sys/firmware/x: Read-only file system\n"
                          "/bin/sh: can't create /proc/sys/kernel/panic: Read-only file system\n"
                          "1\n");
}

static void test_process_view(void **state) {
        Fixture *f = *state;

        fixture_script(f, "echo $$; echo /proc/[0-9]*; ls /proc/self/fd;"
                          "grep ^0: /proc/1/cgroup");
        /* no descriptor but that of ls on the directory */
        fixture_expect(f, "1\n/proc/1\n0\n1\n2\n3\n0::/\n");
}

static void test_session(void **state) {
        Fixture *f = *state;

        /* pid, session and process group are its own; nothing ignored, nothing blocked */
        (void) signal(SIGPIPE, SIG_IGN);
        fixture_set(f, "process.args",
                    "[\"grep\", \"-E\", \"Sig(Blk|Ign)\", \"/proc/self/status\"]");
        fixture_expect(f, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        fixture_script(f, "read pid comm s ppid pgrp session rest < /proc/self/stat;"
                          "echo $pid $ppid $pgrp $session");
        fixture_expect(f, "1 0 1 1\n");
        (void) signal(SIGPIPE, SIG_DFL);
}

static void test_readonly_root(void **state) {
        Fixture *f = *state;

        fixture_set(f, "root.readonly", "true");
        fixture_script(f, "touch /x; touch /dev/shm/x && echo ok");
        fixture_expect(f, "touch: /x: Read-only file system\nok\n");
}

static void test_cgroup_mount(void **state) {
        Fixture *f = *state;

        fixture_script(f, "grep -c '^cgroup /sys/fs/cgroup cgroup2 ro,nosuid' /proc/mounts");
        fixture_expect(f, "1\n");
}

static void test_binds(void **state) {
        Fixture *f = *state;
        _cleanup_close_ int fd = -1;

        fd = dir_open_make_at(f->dir_fd, "volume/sub", 0755);
        assert_true(fd >= 0);
        assert_int_equal(file_write_atomic_at(f->dir_fd, "note", "hello\n", 6, 0644, 0), 0);
        fixture_append(f, "mounts",
                       "{\"destination\": \"/data\", \"source\": \"volume\","
                       " \"options\": [\"rbind\", \"ro\"]}");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/data/sub\", \"type\": \"bind\","
                       " \"source\": \"volume/sub\", \"options\": [\"rw\"]}");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/etc/deep/note\", \"source\": \"note\","
                       " \"options\": [\"bind\"]}");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/all\", \"source\": \"volume\","
                       " \"options\": [\"rbind\", \"rro\", \"nosuid\", \"noexec\"]}");
        fixture_script(f, "touch /data/x; touch /data/sub/y && ls /data /data/sub;"
                          "cat /etc/deep/note; touch /all/z;"
                          "grep -cE '/all [^ ]* ro,nosuid,(nodev,)?noexec' /proc/mounts");
        fixture_expect(f, "touch: /data/x: Read-only file system\n/data:\nsub\n\n/data/sub:\ny\n"
                          "hello\ntouch: /all/z: Read-only file system\n"
                          "1\n");
}

static void test_bound_dev(void **state) {
        Fixture *f = *state;
        _cleanup_close_ int fd = -1;

        fd = dir_open_make_at(f->dir_fd, "volume", 0755);
        assert_true(fd >= 0);
        assert_int_equal(file_write_atomic_at(fd, "mine", "", 0, 0644, 0), 0);
        fixture_set(f, "linux.devices",
                    "[{\"path\": \"/dev/net/tun\", \"type\": \"c\", \"major\": 10,"
                    "  \"minor\": 200}]");
        fixture_append(f, "mounts",
                       "{\"destination\": \"/dev/\", \"source\": \"volume\","
                       " \"options\": [\"bind\"]}");
        fixture_script(f, "ls -A /dev");
        fixture_expect(f, "mine\n");
}

static void test_remount(void **state) {
        Fixture *f = *state;

        fixture_append(f, "mounts",
                       "{\"destination\": \"/dev/shm\", \"type\": \"tmpfs\","
                       " \"options\": [\"remount\", \"ro\", \"size=8k\"]}");
        fixture_script(f, "grep -o '/dev/shm tmpfs ro,.*size=8k' /proc/mounts | cut -c1-17;"
                          "touch /dev/shm/x; true");
        fixture_link(f, "busybox", "bin/cut");
        fixture_expect(f, "/dev/shm tmpfs ro\ntouch: /dev/shm/x: Read-only file system\n");
}

static void test_terminal(void **state) {
        Fixture *f = *state;

        fixture_set(f, "process.terminal", "true");
        fixture_set(f, "process.consoleSize", "{\"width\": 101, \"height\": 33}");
        fixture_script(f, "tty; stty size; stat -c %F /dev/console; stat -c %u $(tty);"
                          "echo x > /dev/tty");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_expect(f, "/dev/pts/0\r\n33 101\r\ncharacter special file\r\n1000\r\nx\r\n");
}

static void test_personality(void **state) {
        Fixture *f = *state;

        fixture_link(f, "busybox", "bin/uname");
        fixture_set(f, "linux.personality", "{\"domain\": \"LINUX32\"}");
        fixture_set(f, "process.args", "[\"uname\", \"-m\"]");
        fixture_expect(f, "i686\n");
}

/* Nothing is left of a container on this side. */
static void test_leaves_nothing(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *before = NULL, *after = NULL;
        _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

        assert_int_equal(fd_read_all(fd, 1 << 20, &before, NULL), 0);
        fixture_expect(f, "");
        fixture_set(f, "process.args", "[\"/missing\"]");
        assert_int_equal(fixture_run(f)->code, CTR_COMMAND_NOT_FOUND);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(fd_read_all(fd, 1 << 20, &after, NULL), 0);
        assert_string_equal(before, after);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_exit_status),
                        TEST(test_environment),
                        TEST(test_directory),
                        TEST(test_relative_command),
                        TEST(test_user),
                        TEST(test_user_home),
                        TEST(test_user_writes_to_pipe),
                        TEST(test_umask),
                        TEST(test_capabilities),
                        TEST(test_no_new_privileges),
                        TEST(test_rlimits),
                        TEST(test_oom_score),
                        TEST(test_names),
                        TEST(test_network),
                        TEST(test_devices),
                        TEST(test_masks),
                        TEST(test_process_view),
                        TEST(test_session),
                        TEST(test_readonly_root),
                        TEST(test_cgroup_mount),
                        TEST(test_binds),
                        TEST(test_bound_dev),
                        TEST(test_remount),
                        TEST(test_terminal),
                        TEST(test_personality),
                        TEST(test_leaves_nothing),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
