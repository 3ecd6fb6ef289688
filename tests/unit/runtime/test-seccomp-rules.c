/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a rule can say: each action, each operator, each flag, by calls that it decides on. */

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/error.h"
#include "fixture.h"
#include "runtime/seccomp-filter.h"

static void prepare(const char *text, SeccompFilter *ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *profile = json_loads(text, 0, NULL);

        assert_non_null(profile);
        if (seccomp_filter_check(profile, &e) != 0 ||
            seccomp_filter_prepare(profile, NULL, ret, &e) != 0)
                fail_msg("%s: %s", text, error_text(&e));
        json_decref(profile);
}

/* The wait status of a child that makes the call under the filter, and exits with its errno. */
static int status_under(const SeccompFilter *filter, long number, unsigned long a) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                /* cmocka has a handler, which is not to run in here */
                (void) signal(SIGSYS, SIG_DFL);
                if (seccomp_filter_load(filter, NULL) != 0)
                        _exit(254);
                errno = 0;
                _exit(syscall(number, a, 0, 0, 0, 0, 0) < 0 ? errno : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static int signal_of(int status) {
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int errno_of(int status) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RULE(action)                                                                               \
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"setfsuid\"],"       \
        " \"action\": " action "}]}"

static void test_actions(void **state) {
        static const struct {
                const char *profile;
                int signal, error;
        } cases[] = {
                        {RULE("\"SCMP_ACT_KILL_PROCESS\""), SIGSYS, 0},
                        {RULE("\"SCMP_ACT_KILL_THREAD\""), SIGSYS, 0},
                        {RULE("\"SCMP_ACT_KILL\""), SIGSYS, 0},
                        {RULE("\"SCMP_ACT_TRAP\""), SIGSYS, 0},
                        {RULE("\"SCMP_ACT_ERRNO\""), 0, EPERM},
                        {RULE("\"SCMP_ACT_ERRNO\", \"errnoRet\": 95"), 0, EOPNOTSUPP},
                        /* nobody traces it */
                        {RULE("\"SCMP_ACT_TRACE\", \"errnoRet\": 7"), 0, ENOSYS},
                        {RULE("\"SCMP_ACT_LOG\""), 0, 0},
                        {RULE("\"SCMP_ACT_ALLOW\""), 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SeccompFilter filter = {};
                int status;

                prepare(cases[i].profile, &filter);
                status = status_under(&filter, SYS_setfsuid, 0);
                if (signal_of(status) != cases[i].signal ||
                    (cases[i].signal == 0 && errno_of(status) != cases[i].error))
                        fail_msg("%s: status %#x", cases[i].profile, (unsigned) status);
                seccomp_filter_clear(&filter);
        }
}

/* What sanitizers need at the end is allowed, too. */
static void test_default_errno(void **state) {
        SeccompFilter filter = {};

        prepare("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 42, \"syscalls\":"
                " [{\"names\": [\"exit_group\", \"mmap\", \"munmap\", \"sigaltstack\", \"write\"],"
                " \"action\": \"SCMP_ACT_ALLOW\"}]}",
                &filter);
        assert_int_equal(errno_of(status_under(&filter, SYS_getpid, 0)), 42);
        seccomp_filter_clear(&filter);
}

/* Refused is what the comparison with 8 (and for the mask 12: what is left of it) says. */
static void test_operators(void **state) {
        static const struct {
                const char *op;
                bool refused[3]; /* 7, 8, 9 */
        } cases[] = {
                        {"SCMP_CMP_NE", {true, false, true}},
                        {"SCMP_CMP_LT", {true, false, false}},
                        {"SCMP_CMP_LE", {true, true, false}},
                        {"SCMP_CMP_EQ", {false, true, false}},
                        {"SCMP_CMP_GE", {false, true, true}},
                        {"SCMP_CMP_GT", {false, false, true}},
                        /* bits 8 of the mask 8 */
                        {"SCMP_CMP_MASKED_EQ", {false, true, true}},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SeccompFilter filter = {};
                char text[512];

                (void) snprintf(text, sizeof(text),
                                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\":"
                                " [\"setfsuid\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\":"
                                " [{\"index\": 0, \"value\": 8, \"valueTwo\": 8, \"op\":"
                                " \"%s\"}]}]}",
                                cases[i].op);
                prepare(text, &filter);
                for (unsigned long k = 0; k < 3; k++) {
                        int r = errno_of(status_under(&filter, SYS_setfsuid, 7 + k));

                        if (r != (cases[i].refused[k] ? EPERM : 0))
                                fail_msg("%s of %lu: %d", cases[i].op, 7 + k, r);
                }
                seccomp_filter_clear(&filter);
        }
}

/* Without a meaning for a single thread, the first; what the others do is the kernel's. */
static void test_flags(void **state) {
        SeccompFilter filter = {};

        prepare("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"SECCOMP_FILTER_FLAG_TSYNC\","
                " \"SECCOMP_FILTER_FLAG_LOG\", \"SECCOMP_FILTER_FLAG_SPEC_ALLOW\","
                " \"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],"
                " \"syscalls\": [{\"names\": [\"setfsuid\"], \"action\": \"SCMP_ACT_ERRNO\"}]}",
                &filter);
        assert_int_equal(filter.flags, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
                                                       SECCOMP_FILTER_FLAG_SPEC_ALLOW);
        assert_int_equal(errno_of(status_under(&filter, SYS_setfsuid, 0)), EPERM);
        seccomp_filter_clear(&filter);
}

static bool has_number(const SeccompFilter *filter, uint32_t number) {
        for (size_t i = 0; i < filter->n; i++)
                if (filter->filter[i].k == number)
                        return true;
        return false;
}

/* Those that libseccomp has from 2.5 on; each filter asks for the architecture of the call. No
 * machine has two byte orders. */
static void test_architectures(void **state) {
        static const struct {
                const char *name;
                uint32_t audit;
        } cases[] = {
                        {"X86", AUDIT_ARCH_I386},
                        {"X86_64", AUDIT_ARCH_X86_64},
                        {"X32", AUDIT_ARCH_X86_64},
                        {"ARM", AUDIT_ARCH_ARM},
                        {"AARCH64", AUDIT_ARCH_AARCH64},
                        {"MIPS", AUDIT_ARCH_MIPS},
                        {"MIPS64", AUDIT_ARCH_MIPS64},
                        {"MIPS64N32", AUDIT_ARCH_MIPS64N32},
                        {"MIPSEL", AUDIT_ARCH_MIPSEL},
                        {"MIPSEL64", AUDIT_ARCH_MIPSEL64},
                        {"MIPSEL64N32", AUDIT_ARCH_MIPSEL64N32},
                        {"PPC", AUDIT_ARCH_PPC},
                        {"PPC64", AUDIT_ARCH_PPC64},
                        {"PPC64LE", AUDIT_ARCH_PPC64LE},
                        {"S390", AUDIT_ARCH_S390},
                        {"S390X", AUDIT_ARCH_S390X},
                        {"PARISC", AUDIT_ARCH_PARISC},
                        {"PARISC64", AUDIT_ARCH_PARISC64},
                        {"RISCV64", AUDIT_ARCH_RISCV64},
        };

        const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                SeccompFilter filter = {};
                json_t *profile = json_pack("{s:s, s:[s+, s+], s:[{s:[s], s:s}]}", "defaultAction",
                                            "SCMP_ACT_ALLOW", "architectures", "SCMP_ARCH_",
                                            cases[i].name, "SCMP_ARCH_", cases[i].name, "syscalls",
                                            "names", "read", "action", "SCMP_ACT_ERRNO");
                int r = seccomp_filter_prepare(profile, NULL, &filter, &e);

                if (little == !!(cases[i].audit & __AUDIT_ARCH_LE)) {
                        if (r != 0 || !has_number(&filter, cases[i].audit))
                                fail_msg("%s: %s", cases[i].name, error_text(&e));
                } else {
                        assert_int_equal(r, CTR_NOT_IMPLEMENTED);
                        assert_non_null(strstr(error_text(&e), "linux.seccomp.architectures[0]"));
                        assert_non_null(strstr(error_text(&e), "another byte order"));
                }
                seccomp_filter_clear(&filter);
                json_decref(profile);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_actions),       cmocka_unit_test(test_default_errno),
                        cmocka_unit_test(test_operators),     cmocka_unit_test(test_flags),
                        cmocka_unit_test(test_architectures),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
