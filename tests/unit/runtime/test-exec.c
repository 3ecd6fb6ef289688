/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a further process in a container gets: runtime/exec.h. */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "exec-fixture.h"

#define ALL_CAPABILITIES(list)                                                                     \
        "{\"bounding\": " list ", \"effective\": " list ", \"permitted\": " list                   \
        ", \"inheritable\": " list ", \"ambient\": " list "}"

#define DENY_CHDIR                                                                                 \
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"chdir\"],"          \
        " \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}]}"

static void test_environment(void **state) {
        ExecFixture *x = *state;

        /* not the container's own, and a HOME by its user */
        fixture_set(x->f, "process.env", "[\"PATH=/bin\", \"SECRET=of init\"]");
        exec_fixture_set(x, "env", "[\"PATH=/bin\", \"A=b c\"]");
        exec_fixture_set(x, "args", "[\"env\"]");
        exec_expect(x, "PATH=/bin\nA=b c\nHOME=/root\n");
        exec_fixture_set(x, "env", "[\"PATH=/bin\", \"HOME=/tmp\"]");
        exec_expect(x, "PATH=/bin\nHOME=/tmp\n");
}

static void test_directory(void **state) {
        ExecFixture *x = *state;
        struct stat st;

        fixture_link(x->f, "/tmp", "link");
        exec_fixture_set(x, "args", "[\"pwd\"]");
        exec_fixture_set(x, "cwd", "\"/tmp\"");
        exec_expect(x, "/tmp\n");
        exec_fixture_set(x, "cwd", "\"/link/../link\"");
        exec_expect(x, "/tmp\n");
        exec_fixture_set(x, "cwd", "\"/missing\"");
        exec_expect_failure(x, -ENOENT,
                            "process: Failed to open the working directory /missing: No such file");
        assert_int_equal(fstatat(x->f->root_fd, "missing", &st, 0), -1);
        exec_fixture_set(x, "cwd", "\"/etc/passwd\"");
        exec_expect_failure(x, -ENOTDIR, "process: Failed to open the working directory");
        /* CVE-2024-21626: no descriptor of the supervisor's leads out */
        exec_fixture_set(x, "cwd", "\"/proc/1/cwd\"");
        exec_expect_failure(x, -ELOOP, "process: Failed to open the working directory");
        exec_fixture_set(x, "cwd", "\"/proc/self/fd/3\"");
        exec_expect_failure(x, -ENOENT, "process: Failed to open the working directory");
}

static void test_user(void **state) {
        ExecFixture *x = *state;

        exec_fixture_script(x, "id 2>/dev/null; umask; echo $HOME");
        exec_fixture_set(x, "user",
                         "{\"uid\": 1000, \"gid\": 50, \"additionalGids\": [10, 44, 7],"
                         " \"umask\": 63}");
        exec_expect(x, "uid=1000(app) gid=50(staff) groups=7,10(wheel),44(video)\n"
                       "0077\n/home/app\n");
        /* by name, from the files of the container as they are now */
        fixture_file(x->f, "etc/passwd", "late:x:77:50::/late:/bin/sh\n", 0644);
        strcpy(x->user, "late");
        exec_fixture_script(x, "id; echo $HOME");
        exec_expect(x, "uid=77(late) gid=50(staff)\n/late\n");
        strcpy(x->user, "late:wheel");
        exec_expect(x, "uid=77(late) gid=10(wheel)\n/late\n");
        strcpy(x->user, "nobody-here");
        exec_expect_failure(x, CTR_NOT_FOUND,
                            "user: The user \"nobody-here\" is not in /etc/passwd");
}

/* A container that made its files unusable is still open to who is given by number. */
static void test_user_without_files(void **state) {
        ExecFixture *x = *state;

        fixture_remove(x->f, "etc/group");
        fixture_directory(x->f, "etc/group", 0755);
        exec_fixture_script(x, "id -u; id -G; echo $HOME");
        strcpy(x->user, "0");
        exec_expect(x, "0\n0\n/root\n");
        strcpy(x->user, "0:wheel");
        exec_expect_failure(x, CTR_INVALID_ARGUMENT, "/etc/group of the container is not a");
        fixture_remove(x->f, "etc/passwd");
        fixture_link(x->f, "passwd", "etc/passwd");
        strcpy(x->user, "1000:50");
        exec_expect(x, "1000\n50\n/\n");
        strcpy(x->user, "");
        exec_expect(x, "0\n0\n/\n");
        strcpy(x->user, "app");
        exec_expect_failure(x, -ELOOP, "Failed to open /etc/passwd of the container");
}

static void test_capabilities(void **state) {
        ExecFixture *x = *state;

        exec_fixture_set(x, "args",
                         "[\"grep\", \"-E\", \"^(Cap|NoNewPrivs|Seccomp:)\","
                         " \"/proc/self/status\"]");
        exec_fixture_set(x, "capabilities", ALL_CAPABILITIES("[\"CAP_CHOWN\", \"CAP_KILL\"]"));
        exec_expect(x, "CapInh:\t0000000000000021\nCapPrm:\t0000000000000021\n"
                       "CapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n"
                       "CapAmb:\t0000000000000021\nNoNewPrivs:\t0\nSeccomp:\t0\n");
        exec_fixture_set(x, "user", "{\"uid\": 1000, \"gid\": 1000}");
        exec_fixture_set(x, "noNewPrivileges", "true");
        exec_expect(x, "CapInh:\t0000000000000021\nCapPrm:\t0000000000000021\n"
                       "CapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n"
                       "CapAmb:\t0000000000000021\nNoNewPrivs:\t1\nSeccomp:\t0\n");
        exec_fixture_set(x, "capabilities", "{}");
        exec_expect(x, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                       "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
                       "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n");
}

/* The filter is the container's, with and without no_new_privs, for root and for others. */
static void test_seccomp(void **state) {
        static const char *const users[] = {"{\"uid\": 0, \"gid\": 0}",
                                            "{\"uid\": 1000, \"gid\": 1000}"};
        ExecFixture *x = *state;

        assert_true(asprintf(&x->f->seccomp_cache, "%s/seccomp", x->f->dir) > 0);
        fixture_set(x->f, "linux.seccomp", DENY_CHDIR);
        exec_fixture_script(x, "cd /tmp 2>/dev/null || echo denied;"
                               "grep -E '^(CapEff|Seccomp:)' /proc/self/status");
        for (size_t i = 0; i < ELEMENTSOF(users); i++) {
                exec_fixture_set(x, "user", users[i]);
                exec_fixture_set(x, "noNewPrivileges", "true");
                exec_expect(x, "denied\nCapEff:\t0000000000000000\nSeccomp:\t2\n");
                exec_fixture_set(x, "noNewPrivileges", "false");
                exec_expect(x, "denied\nCapEff:\t0000000000000000\nSeccomp:\t2\n");
        }
}

/* What the first one stored is used for this document only, and only if it is whole. */
static void test_profile(void **state) {
        static const char *const damages[] = {
                        "", "short",
                        "long enough for a head, but no head: 012345678901234567890123456789012"};
        ExecFixture *x = *state;
        _cleanup_free_ char *good = NULL;
        size_t size;

        exec_fixture_script(x, "cd /tmp 2>/dev/null || echo denied");
        exec_expect(x, "");
        fixture_set(x->f, "linux.seccomp", DENY_CHDIR);
        fixture_write(x->f);
        exec_expect(x, "denied\n");
        assert_int_equal(file_read_at(x->f->dir_fd, "exec.profile", 65536, &good, &size), 0);
        for (size_t i = 0; i <= ELEMENTSOF(damages); i++) {
                const char *data = i < ELEMENTSOF(damages) ? damages[i] : good;
                size_t n = i < ELEMENTSOF(damages) ? strlen(data) : size - 1;

                assert_int_equal(file_write_atomic_at(x->f->dir_fd, "exec.profile", data, n, 0600,
                                                      0),
                                 0);
                exec_expect(x, "denied\n");
        }
        fixture_set(x->f, "linux.seccomp", "null");
        fixture_write(x->f);
        exec_expect(x, "");
}

static void test_limits(void **state) {
        ExecFixture *x = *state;

        exec_fixture_set(x, "user", "{\"uid\": 54321, \"gid\": 1000}");
        exec_fixture_set(x, "rlimits",
                         "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 5, \"hard\": 6},"
                         " {\"type\": \"RLIMIT_NPROC\", \"soft\": 1, \"hard\": 1},"
                         " {\"type\": \"RLIMIT_CORE\", \"soft\": 0, \"hard\": 7}]");
        exec_fixture_set(x, "args",
                         "[\"grep\", \"-oE\", \"^Max (core|open|proc).*[0-9] \","
                         " \"/proc/self/limits\"]");
        exec_expect(x, "Max core file size        0                    7 \n"
                       "Max processes             1                    1 \n"
                       "Max open files            5                    6 \n");
}

static void test_terminal(void **state) {
        ExecFixture *x = *state;
        const ExecOutcome *o;

        exec_fixture_set(x, "terminal", "true");
        exec_fixture_set(x, "consoleSize", "{\"width\": 91, \"height\": 17}");
        exec_fixture_set(x, "user", "{\"uid\": 1000, \"gid\": 1000}");
        /* its controlling terminal, its own, and with the name of the container's devpts */
        exec_fixture_script(x, "tty; stty size; echo yes >/dev/tty; ls -n /dev/pts/0 | "
                               "grep -c ' 1000 '");
        o = exec_run(x);
        assert_int_equal(o->code, 0);
        assert_string_equal(o->output, "/dev/pts/0\r\n17 91\r\nyes\r\n1\r\n");
        assert_int_equal(o->status, 0);

        exec_fixture_script(x, "exit 3");
        assert_int_equal(exec_run(x)->status, 3);
}

static void test_terminal_needs_devpts(void **state) {
        ExecFixture *x = *state;

        fixture_set(x->f, "mounts", "[{\"destination\": \"/proc\", \"type\": \"proc\"}]");
        fixture_directory(x->f, "dev", 0755);
        fixture_directory(x->f, "dev/pts", 0755);
        fixture_file(x->f, "dev/pts/ptmx", "", 0666);
        exec_fixture_set(x, "terminal", "true");
        exec_expect_failure(x, CTR_INVALID_ARGUMENT, "terminal: A terminal needs a devpts");
}

static void test_exit_status(void **state) {
        ExecFixture *x = *state;

        exec_fixture_script(x, "exit 42");
        assert_int_equal(exec_run(x)->status, 42);
        exec_fixture_script(x, "kill -9 $$");
        assert_int_equal(exec_run(x)->status, 137);
        /* default dispositions and nothing blocked */
        exec_fixture_set(x, "args",
                         "[\"grep\", \"-E\", \"^Sig(Blk|Ign|Cgt)\","
                         " \"/proc/self/status\"]");
        exec_expect(x, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                       "SigCgt:\t0000000000000000\n");
}

/* The supervisor has a score of its own, which is not for what runs in the container. */
static void test_oom_score(void **state) {
        ExecFixture *x = *state;
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        exec_fixture_start(x);
        /* -1000 in earnest, but that takes CAP_SYS_RESOURCE */
        assert_true(write(fd, "500", STRLEN("500")) > 0);
        exec_fixture_set(x, "args", "[\"cat\", \"/proc/self/oom_score_adj\"]");
        exec_expect(x, "0\n");
        fixture_set(x->f, "process.oomScoreAdj", "123");
        fixture_write(x->f);
        exec_expect(x, "123\n");
        exec_fixture_set(x, "oomScoreAdj", "17");
        exec_expect(x, "17\n");
        assert_true(write(fd, "0", 1) == 1);
}

static void test_schedule(void **state) {
        ExecFixture *x = *state;

        exec_fixture_set(x, "execCPUAffinity", "{\"initial\": \"0-1\", \"final\": \"0\"}");
        exec_fixture_set(x, "scheduler", "{\"policy\": \"SCHED_BATCH\", \"nice\": 3}");
        fixture_set(x->f, "linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\"}");
        fixture_write(x->f);
        exec_fixture_script(x, "grep Cpus_allowed_list: /proc/self/status; read y < /proc/$$/stat;"
                               " set -- $y; echo ${19} ${41};"
                               " grep bind:0 /proc/self/numa_maps > /dev/null && echo bound");
        exec_expect(x, "Cpus_allowed_list:\t0\n3 3\nbound\n");
}

/* 0, 1, 2 and the directory that ls itself reads. */
static void test_descriptors(void **state) {
        ExecFixture *x = *state;
        int leaked = open("/", O_RDONLY | O_DIRECTORY); /* not even CLOEXEC */

        assert_true(leaked >= 0);
        exec_fixture_set(x, "args", "[\"ls\", \"/proc/self/fd\"]");
        exec_expect(x, "0\n1\n2\n3\n");
        exec_fixture_script(x, "readlink /proc/self/fd/0");
        exec_expect(x, "/dev/null\n");
        fd_close(leaked);
}

static void test_namespaces(void **state) {
        ExecFixture *x = *state;

        fixture_append(x->f, "linux.namespaces", "{\"type\": \"time\"}");
        exec_fixture_set(x, "capabilities", ALL_CAPABILITIES("[\"CAP_SYS_PTRACE\"]"));
        fixture_set(x->f, "process.capabilities", "{}");
        exec_fixture_script(x, "for n in pid net ipc uts mnt cgroup time user; do"
                               " a=$(readlink /proc/self/ns/$n); b=$(readlink /proc/1/ns/$n);"
                               " [ \"$a\" = \"$b\" ] && [ -n \"$a\" ] || echo $n $a $b; done;"
                               "hostname; [ $$ -lt 100 ] && echo small");
        exec_expect(x, "testbox\nsmall\n");
}

/* Those that the container shares with its host are not joined, and there they are the same. */
static void test_shared_namespaces(void **state) {
        ExecFixture *x = *state;
        char own[64] = "", wanted[80];

        fixture_set(x->f, "linux.namespaces", "[{\"type\": \"mount\"}, {\"type\": \"ipc\"}]");
        fixture_set(x->f, "hostname", "null");
        fixture_set(x->f, "mounts", "[{\"destination\": \"/proc\", \"type\": \"proc\"}]");
        assert_true(readlink("/proc/self/ns/pid", own, sizeof(own) - 1) > 0);
        (void) snprintf(wanted, sizeof(wanted), "%s\n", own);
        exec_fixture_set(x, "args", "[\"readlink\", \"/proc/self/ns/pid\"]");
        exec_expect(x, wanted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exec_fixture_setup, exec_fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_environment),  TEST(test_directory),
                        TEST(test_user),         TEST(test_user_without_files),
                        TEST(test_capabilities), TEST(test_seccomp),
                        TEST(test_profile),      TEST(test_limits),
                        TEST(test_terminal),     TEST(test_terminal_needs_devpts),
                        TEST(test_exit_status),  TEST(test_oom_score),
                        TEST(test_schedule),     TEST(test_descriptors),
                        TEST(test_namespaces),   TEST(test_shared_namespaces),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
