/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The allow-list. What is not in it fails with ENOSYS, so that a C library which tries something
 * newer falls back. Not there, above all: executing, new processes (only threads), mounting and
 * namespaces, tracing, changing identity, kernel modules, BPF, io_uring, keys.
 */

#include <seccomp.h>
#include <sys/socket.h>

#include "worker/sandbox.h"

static const char *const always[] = {
                /* memory and threads */
                "brk", "futex", "get_robust_list", "madvise", "membarrier", "mmap", "mprotect",
                "mremap", "munmap", "restart_syscall", "rseq", "sched_getaffinity", "sched_yield",
                "set_robust_list", "set_tid_address", "exit", "exit_group", "arch_prctl",
                /* who and where we are */
                "getegid", "geteuid", "getgid", "getpid", "gettid", "getuid", "getrlimit",
                "getrusage", "prlimit64", "sysinfo", "uname", "getrandom", "getcwd", "capget",
                /* time and signals */
                "clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep",
                "time", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
                "rt_sigtimedwait", "sigaltstack", "signalfd4", "tgkill",
                /* waiting */
                "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "pipe2",
                "poll", "ppoll", "pselect6", "select",
                /* open files */
                "close", "close_range", "dup", "dup2", "dup3", "fadvise64", "fallocate", "fcntl",
                "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getdents64",
                "ioctl", "lseek", "pread64", "preadv", "pwrite64", "pwritev", "read", "readv",
                "sync_file_range", "syncfs", "write", "writev",
                /* names */
                "access", "faccessat", "faccessat2", "lstat", "newfstatat", "open", "openat",
                "openat2", "readlink", "readlinkat", "stat", "statfs", "statx", "rename",
                "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "umask",
                /* what we were given */
                "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmsg", "sendmsg",
                "sendto", "setsockopt", "shutdown"};

static const char *const extraction[] = {"copy_file_range", "fchmod",       "fchmodat",
                                         "fchmodat2",       "fchown",       "fchownat",
                                         "fgetxattr",       "flistxattr",   "fsetxattr",
                                         "getxattr",        "lgetxattr",    "linkat",
                                         "listxattr",       "llistxattr",   "lsetxattr",
                                         "mknodat",         "fremovexattr", "removexattr",
                                         "setxattr",        "symlinkat",    "utimensat"};

static const char *const reading[] = {"fgetxattr", "flistxattr", "getxattr",
                                      "lgetxattr", "listxattr",  "llistxattr"};

/* getaddrinfo() asks the kernel for the addresses of the machine (netlink), and name service
 * modules ask their daemons (unix); curl's resolver thread wakes us through a socket pair. */
static const char *const network[] = {"bind", "connect", "recvmmsg", "sendmmsg", "socketpair"};

static const int families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_UNIX};

static int allow(scmp_filter_ctx filter, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int number = seccomp_syscall_resolve_name(names[i]), r;

                /* unknown here or not of this architecture: then nobody can call it */
                if (number < 0)
                        continue;
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_rules(scmp_filter_ctx filter, SandboxFlags flags) {
        int r;

        r = allow(filter, always, ELEMENTSOF(always));
        if (r >= 0 && flags & (SANDBOX_EXTRACT | SANDBOX_MAKE))
                r = allow(filter, extraction, ELEMENTSOF(extraction));
        if (r >= 0 && flags & SANDBOX_READ)
                r = allow(filter, reading, ELEMENTSOF(reading));
        if (r >= 0 && flags & SANDBOX_NETWORK) {
                r = allow(filter, network, ELEMENTSOF(network));
                for (size_t i = 0; r >= 0 && i < ELEMENTSOF(families); i++)
                        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) families[i]));
        }
        /* threads, but no processes; clone3 hides its flags from us and is not in the list */
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
#if defined(__s390__) || defined(__s390x__)
                                     SCMP_A1(
#else
                                     SCMP_A0(
#endif
                                                     SCMP_CMP_MASKED_EQ, 0x00010000, 0x00010000));
        return r;
}

int sandbox_filter_system_calls(SandboxFlags flags, Error *e) {
        scmp_filter_ctx filter;
        int r;

        if (BUILT_WITH_SANITIZER)
                return 0; /* the leak check forks and traces */
        filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
        if (!filter)
                return error_setf(e, -ENOMEM, "Failed to make a system call filter: %m");
        r = add_rules(filter, flags);
        if (r >= 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r < 0 ? error_setf(e, r, "Failed to install the system call filter: %m") : 0;
}
