/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filters: the default profile's promises, the cache, and profiles that are wrong. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/error.h"
#include "basic/fs.h"
#include "fixture.h"
#include "runtime/seccomp-filter.h"

static json_t *default_profile(void) {
        json_t *j = json_load_file(SECCOMP_JSON, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(j);
        return j;
}

typedef struct Call {
        const char *name;
        long number, a, b, c;
        int expected; /* errno, 0: not refused by the filter */
} Call;

/* Loads the filter and makes the call; the exit status is its errno. */
static int errno_under(const SeccompFilter *filter, const Call *call) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (seccomp_filter_load(filter, NULL) != 0)
                        _exit(254);
                errno = 0;
                _exit(syscall(call->number, call->a, call->b, call->c, 0, 0, 0) < 0 ? errno : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* As root with all capabilities: what is refused here is refused by the filter. Arguments are such
 * that without the filter the answer is another one. */
static void test_default_profile(void **state) {
        const Call calls[] = {
                        {"unshare", SYS_unshare, CLONE_NEWNS, 0, 0, EPERM},
                        {"unshare user", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM},
                        {"setns", SYS_setns, -1, 0, 0, EPERM},
                        {"mount", SYS_mount, 0, 0, 0, EPERM},
                        {"umount2", SYS_umount2, 0, 0, 0, EPERM},
                        {"pivot_root", SYS_pivot_root, 0, 0, 0, EPERM},
                        {"fsopen", SYS_fsopen, 0, 0, 0, EPERM},
                        {"fsmount", SYS_fsmount, -1, 0, 0, EPERM},
                        {"move_mount", SYS_move_mount, -1, 0, -1, EPERM},
                        {"open_tree", SYS_open_tree, -1, 0, 0, EPERM},
                        {"mount_setattr", SYS_mount_setattr, -1, 0, 0, EPERM},
                        {"keyctl", SYS_keyctl, 99, 0, 0, EPERM},
                        {"add_key", SYS_add_key, 0, 0, 0, EPERM},
                        {"request_key", SYS_request_key, 0, 0, 0, EPERM},
                        {"bpf", SYS_bpf, 99, 0, 0, EPERM},
                        {"perf_event_open", SYS_perf_event_open, 0, 0, 0, EPERM},
                        {"userfaultfd", SYS_userfaultfd, 0xffff, 0, 0, EPERM},
                        {"io_uring_setup", SYS_io_uring_setup, 0, 0, 0, EPERM},
                        {"kexec_load", SYS_kexec_load, 0, 0, 0, EPERM},
                        {"init_module", SYS_init_module, 0, 0, 0, EPERM},
                        {"finit_module", SYS_finit_module, -1, 0, 0, EPERM},
                        {"delete_module", SYS_delete_module, 0, 0, 0, EPERM},
                        {"reboot", SYS_reboot, 0, 0, 0, EPERM},
                        {"swapon", SYS_swapon, 0, 0, 0, EPERM},
                        {"settimeofday", SYS_settimeofday, 1, 1, 0, EPERM},
                        {"syslog", SYS_syslog, 99, 0, 0, EPERM},
                        {"open_by_handle_at", SYS_open_by_handle_at, -1, 0, 0, EPERM},
                        {"quotactl", SYS_quotactl, 0, 0, 0, EPERM},
                        {"acct", SYS_acct, 1, 0, 0, EPERM},
                        {"clone NEWUSER", SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0,
                         EPERM},
                        {"clone NEWNET", SYS_clone, CLONE_NEWNET | CLONE_SIGHAND, 0, 0, EPERM},
                        {"clone3", SYS_clone3, 0, 0, 0, ENOSYS},
                        {"socket AF_VSOCK", SYS_socket, AF_VSOCK, 99, 0, EPERM},
                        {"socket AF_ALG", SYS_socket, AF_ALG, 99, 0, EPERM},
                        {"socket AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0},
                        {"socket 60", SYS_socket, 60, 0, 0, EAFNOSUPPORT},
                        {"personality", SYS_personality, 0xffffffffL, 0, 0, 0},
                        {"personality other", SYS_personality, 0x40000, 0, 0, ENOSYS},
                        {"getpid", SYS_getpid, 0, 0, 0, 0},
                        {"chroot", SYS_chroot, 0, 0, 0, EPERM},
                        {"unshare", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM},
                        {"setns", SYS_setns, -1, 0, 0, EPERM},
                        {"kexec_file_load", SYS_kexec_file_load, -1, -1, 0, EPERM},
                        {"io_uring_enter", SYS_io_uring_enter, -1, 0, 0, EPERM},
                        {"io_uring_register", SYS_io_uring_register, -1, 0, 0, EPERM},
                        {"kcmp", SYS_kcmp, 0, 0, 99, EPERM},
                        {"lookup_dcookie", SYS_lookup_dcookie, 0, 0, 0, EPERM},
                        {"fanotify_init", SYS_fanotify_init, -1, 0, 0, EPERM},
                        {"pidfd_getfd", SYS_pidfd_getfd, -1, -1, 0, EPERM},
                        {"move_pages", SYS_move_pages, 0, 0, 0, EPERM},
                        {"swapoff", SYS_swapoff, 0, 0, 0, EPERM},
                        {"sethostname", SYS_sethostname, 0, -1, 0, EPERM},
                        {"clock_settime", SYS_clock_settime, -1, 0, 0, EPERM},
                        {"vhangup", SYS_vhangup, 0, 0, 0, EPERM},
                        {"close_range", SYS_close_range, 5, 4, 0, EINVAL},
                        {"unknown", 4095, 0, 0, 0, ENOSYS},
        };
        SeccompFilter filter = {};
        json_t *profile = default_profile();
        Error e = ERROR_NULL;

        if (seccomp_filter_prepare(profile, NULL, &filter, &e) != 0)
                fail_msg("%s", error_text(&e));
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                int r = errno_under(&filter, &calls[i]);

                if (r != calls[i].expected)
                        fail_msg("%s: %s instead of %s", calls[i].name, strerror(r),
                                 strerror(calls[i].expected));
        }
        seccomp_filter_clear(&filter);
        json_decref(profile);
}

static bool is_among(const char *name, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], name))
                        return true;
        return false;
}

/* Whether the profile allows a call to somebody without capabilities; plain: whatever its
 * arguments. */
static bool allows(json_t *profile, const char *name, bool plain) {
        json_t *rule, *item;
        size_t i, k;

        json_array_foreach(json_object_get(profile, "syscalls"), i, rule) {
                json_t *includes = json_object_get(rule, "includes");

                if (!streq(json_string_value(json_object_get(rule, "action")), "SCMP_ACT_ALLOW") ||
                    json_array_size(json_object_get(includes, "caps")) > 0 ||
                    (plain && json_array_size(json_object_get(rule, "args")) > 0))
                        continue;
                json_array_foreach(json_object_get(rule, "names"), k, item) {
                        if (streq(json_string_value(item), name))
                                return true;
                }
        }
        return false;
}

/* What everybody may do with ours, everybody may do with the profile that podman and others share.
 */
static void test_ecosystem(void **state) {
        static const char *const newer[] = {
                        /* than that profile, and like calls that it allows */
                        "cachestat",
                        "fchmodat2",
                        "futex_requeue",
                        "futex_wait",
                        "futex_waitv",
                        "futex_wake",
                        "getxattrat",
                        "io_pgetevents",
                        "listxattrat",
                        "map_shadow_stack",
                        "io_pgetevents_time64",
                        "mseal",
                        "setxattrat",
                        "removexattrat",
                        "riscv_flush_icache",
                        "uretprobe",
                        "riscv_hwprobe",
        };
        json_t *theirs, *ours, *rule, *item;
        size_t i, k, n = 0;

        theirs = json_load_file("/usr/share/containers/seccomp.json", 0, NULL);
        if (!theirs)
                skip();
        ours = default_profile();
        json_array_foreach(json_object_get(ours, "syscalls"), i, rule) {
                json_array_foreach(json_object_get(rule, "names"), k, item) {
                        const char *name = json_string_value(item);

                        if (!allows(ours, name, true))
                                continue;
                        n++;
                        if (!allows(theirs, name, false) &&
                            !is_among(name, newer, ELEMENTSOF(newer)))
                                fail_msg("%s is not allowed by others", name);
                }
        }
        assert_true(n > 300);
        json_decref(ours);
        json_decref(theirs);
}

#ifdef __x86_64__
/* The third table of system calls on this architecture is not a way around the filter. */
static void test_x32(void **state) {
        SeccompFilter filter = {};
        json_t *profile = default_profile();
        int status;
        pid_t pid;

        assert_int_equal(seccomp_filter_prepare(profile, NULL, &filter, NULL), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (seccomp_filter_load(&filter, NULL) != 0)
                        _exit(254);
                (void) syscall(0x40000000L | SYS_getpid);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
        seccomp_filter_clear(&filter);
        json_decref(profile);
}
#endif

static void test_in_container(void **state) {
        Fixture *f = *state;

        assert_int_equal(json_object_set_new(json_object_get(f->document, "linux"), "seccomp",
                                             default_profile()),
                         0);
        fixture_script(f, "grep Seccomp: /proc/self/status; unshare -m true; echo $?");
        fixture_expect(f, "Seccomp:\t2\nunshare: unshare(0x20000): Operation not permitted\n1\n");
        /* loaded with the supervisor's capabilities then, which the program does not get */
        fixture_set(f, "process.noNewPrivileges", "false");
        fixture_set(f, "process.user", "{\"uid\": 1000, \"gid\": 1000}");
        fixture_script(f, "grep -E 'Seccomp:|NoNew|CapEff' /proc/self/status");
        fixture_expect(f, "CapEff:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n");
}

static void test_cache(void **state) {
        Fixture *f = *state;
        json_t *profile = default_profile();
        SeccompFilter first = {}, second = {};
        _cleanup_closedir_ DIR *dir = NULL;
        char path[128], name[64] = "";
        struct dirent *de;
        struct stat st, repaired;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/cache/seccomp", f->dir);
        assert_int_equal(seccomp_filter_prepare(profile, path, &first, NULL), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        dir = opendir(path);
        assert_non_null(dir);
        while ((de = readdir(dir)))
                if (de->d_name[0] != '.') {
                        assert_string_equal(name, "");
                        assert_true(snprintf(name, sizeof(name), "%s", de->d_name) < 64);
                }
        assert_string_not_equal(name, "");
        assert_int_equal(fstatat(dirfd(dir), name, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);

        /* proof that it is read: a filter of one instruction in place of the right one */
        fd = openat(dirfd(dir), name, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, st.st_size - (off_t) ((first.n - 1) * 8)), 0);
        assert_int_equal(pwrite(fd, "\1\0\0", 4, 12), 4);
        assert_int_equal(seccomp_filter_prepare(profile, path, &second, NULL), 0);
        assert_int_equal(second.n, 1);
        seccomp_filter_clear(&second);

        /* damaged: of another text, or cut; compiled again and repaired */
        assert_int_equal(pwrite(fd, "X", 1, 40), 1);
        assert_int_equal(seccomp_filter_prepare(profile, path, &second, NULL), 0);
        assert_int_equal(second.n, first.n);
        assert_memory_equal(second.filter, first.filter, first.n * 8);
        seccomp_filter_clear(&second);
        assert_int_equal(fstatat(dirfd(dir), name, &repaired, 0), 0);
        assert_int_equal(repaired.st_size, st.st_size);
        fd_close(fd);

        /* somebody else's directory is not trusted */
        assert_int_equal(chmod(path, 0777), 0);
        assert_int_equal(unlinkat(dirfd(dir), name, 0), 0);
        assert_int_equal(seccomp_filter_prepare(profile, path, &second, NULL), 0);
        assert_int_equal(second.n, first.n);
        assert_int_equal(fstatat(dirfd(dir), name, &st, 0), -1);
        seccomp_filter_clear(&second);
        seccomp_filter_clear(&first);
        json_decref(profile);
}

static void test_refused(void **state) {
        static const struct {
                const char *profile;
                int code;
                const char *part;
        } cases[] = {
                        {"{}", CTR_INVALID_ARGUMENT, "linux.seccomp.defaultAction is missing"},
                        {"{\"defaultAction\": \"SCMP_ACT_X\"}", CTR_INVALID_ARGUMENT,
                         "linux.seccomp.defaultAction: \"SCMP_ACT_X\" is not an action"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1}",
                         CTR_INVALID_ARGUMENT,
                         "linux.seccomp.defaultErrnoRet: the action SCMP_ACT_ALLOW has no such"},
                        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_LOG\", \"names\": [\"read\"], \"errnoRet\": "
                         "2}]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.seccomp.syscalls[0].errnoRet: the action SCMP_ACT_LOG has no"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"X\"]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.seccomp.architectures[0]: libseccomp knows no \"X\""},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\","
                         " \"architectures\": [\"SCMP_ARCH_X\"]}",
                         CTR_NOT_IMPLEMENTED, "libseccomp knows no \"SCMP_ARCH_X\""},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [1]}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.syscalls[0]: expected an object"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\"}]}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.syscalls[0].names is missing"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"nonsense\"]}]}",
                         CTR_INVALID_ARGUMENT, "the system call \"nonsense\" is unknown"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"read\"],"
                         "  \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                         CTR_INVALID_ARGUMENT, "linux.seccomp.syscalls[0].args[0].index"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"read\"],"
                         "  \"args\": [{\"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                         CTR_INVALID_ARGUMENT, "syscalls[0].args[0].index is missing"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"read\"],"
                         "  \"args\": [{\"index\": 0, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                         CTR_INVALID_ARGUMENT, "syscalls[0].args[0].value is missing"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"read\"],"
                         "  \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"X\"}]}]}",
                         CTR_INVALID_ARGUMENT, "args[0].op: \"X\" is not an operator"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":"
                         " [{\"action\": \"SCMP_ACT_ERRNO\", \"names\": [\"read\"],"
                         "  \"args\": [7]}]}",
                         CTR_INVALID_ARGUMENT, "syscalls[0].args[0]: expected an object"},
                        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"X\"]}",
                         CTR_NOT_IMPLEMENTED, "linux.seccomp.flags[0] is not supported"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                json_t *profile = json_loads(cases[i].profile, 0, NULL);
                _cleanup_error_ Error e = ERROR_NULL;
                SeccompFilter filter = {};

                assert_non_null(profile);
                assert_int_equal(seccomp_filter_prepare(profile, NULL, &filter, &e), cases[i].code);
                if (!strstr(error_text(&e), cases[i].part))
                        fail_msg("%s: %s", cases[i].profile, error_text(&e));
                json_decref(profile);
        }
}

static void test_refused_in_container(void **state) {
        Fixture *f = *state;

        fixture_set(f, "linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_X\"}");
        fixture_expect_failure(f, STEP_ENTER, CTR_INVALID_ARGUMENT, "seccomp: linux.seccomp.def");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_default_profile),
                        cmocka_unit_test(test_ecosystem),
#ifdef __x86_64__
                        cmocka_unit_test(test_x32),
#endif
                        TEST(test_in_container),
                        TEST(test_cache),
                        cmocka_unit_test(test_refused),
                        TEST(test_refused_in_container),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
