/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is called as ctr-runtime: puts the program itself (CTR_LIBEXECDIR "/ctr-runtime") on a
 * private, read-only mount and becomes it; own-binary.h tells what for. That program would do the
 * same, but only when the loader has linked it, and then that work is done a second time. So this
 * one has no libraries, not even the C library, and costs a seventh of a start less.
 *
 * Invariant: nothing is decided here. Whatever fails, the program is executed where it is, and
 * protects itself or says why it cannot.
 */

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "config.h"

#define PROGRAM CTR_LIBEXECDIR "/ctr-runtime"
#define FAILED  "ctr-runtime: Failed to execute " PROGRAM "\n"

/* The stack as the kernel leaves it: argc, argv, NULL, the environment. */
#if defined(__x86_64__)
__asm__(".globl _start\n"
        "_start:\n"
        "xor %ebp, %ebp\n"
        "mov %rsp, %rdi\n"
        "and $-16, %rsp\n"
        "call entry_run\n");

static long system_call(long number, long a, long b, long c, long d, long e) {
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long r;

        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return r;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n"
        "_start:\n"
        "mov x29, #0\n"
        "mov x30, #0\n"
        "mov x0, sp\n"
        "and sp, x0, #-16\n"
        "bl entry_run\n");

static long system_call(long number, long a, long b, long c, long d, long e) {
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;

        __asm__ volatile("svc #0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
                         : "memory", "cc");
        return x0;
}
#endif

/* Returns only if it fails. */
static void execute_copy(char **argv, char **environment) {
        static const struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        long fd;

        fd = system_call(__NR_open_tree, AT_FDCWD, (long) PROGRAM,
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
        if (fd < 0)
                return;
        if (system_call(__NR_mount_setattr, fd, (long) "", AT_EMPTY_PATH, (long) &attr,
                        sizeof(attr)) < 0)
                return;
        (void) system_call(__NR_execveat, fd, (long) "", (long) argv, (long) environment,
                           AT_EMPTY_PATH);
}

__attribute__((used, noreturn)) static void entry_run(const long *stack) {
        char **argv = (char **) (stack + 1), **environment = argv + *stack + 1;

        execute_copy(argv, environment);
        (void) system_call(__NR_execve, (long) PROGRAM, (long) argv, (long) environment, 0, 0);
        (void) system_call(__NR_write, 2, (long) FAILED, sizeof(FAILED) - 1, 0, 0);
        for (;;)
                (void) system_call(__NR_exit_group, 127, 0, 0, 0, 0);
}
