/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "basic/clock.h"
#include "basic/strv.h"

#define SPAWN_FDS_MAX 16

int pidfd_open_pid(pid_t pid) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signo) {
        return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

int exit_status_from_siginfo(const siginfo_t *si) {
        return si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
}

void pidfd_forsake(int pidfd) {
        siginfo_t si = {};

        if (waitid(P_PIDFD, (id_t) pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid != 0)
                return;
        (void) pidfd_signal(pidfd, SIGKILL);
        (void) waitid(P_PIDFD, (id_t) pidfd, &si, WEXITED | WNOHANG);
}

int pidfd_wait_until(int pidfd, uint64_t deadline) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        for (;;) {
                uint64_t now = now_monotonic(),
                         msec = now < deadline ? (deadline - now) / USEC_PER_MSEC + 1 : 0;
                int r;

                r = poll(&p, 1, (int) MIN_OF(msec, (uint64_t) INT32_MAX));
                if (r > 0)
                        return 1;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (now >= deadline)
                        return 0;
        }
}

void pidfd_end(int pidfd, uint64_t timeout_usec) {
        siginfo_t si;

        (void) pidfd_signal(pidfd, SIGKILL);
        (void) pidfd_wait_until(pidfd, now_monotonic() + timeout_usec);
        (void) waitid(P_PIDFD, (id_t) pidfd, &si, WEXITED | WNOHANG);
}

int pidfd_wait(int pidfd, int *ret_status) {
        siginfo_t si = {};

        while (waitid(P_PIDFD, (id_t) pidfd, &si, WEXITED) < 0)
                if (errno != EINTR)
                        return -errno;
        *ret_status = exit_status_from_siginfo(&si);
        return 0;
}

pid_t process_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd) {
        struct clone_args args = {
                        .flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                        .pidfd = (uint64_t) (uintptr_t) ret_pidfd,
                        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* as that one has */
        };
        long pid;

        if (cgroup_fd >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) cgroup_fd;
        }
        pid = syscall(SYS_clone3, &args, sizeof(args));
        return pid < 0 ? -errno : (pid_t) pid;
}

int process_find_program(const char *name, char **ret) {
        const char *path = getenv("PATH");

        assert(name && !strchr(name, '/') && ret);

        path = path ?: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        while (*path) {
                size_t n = strcspn(path, ":");
                _cleanup_free_ char *file = NULL;
                struct stat st;

                /* a relative directory would be one of wherever this process happens to be */
                if (*path == '/') {
                        if (asprintf(&file, "%.*s/%s", (int) n, path, name) < 0)
                                return -ENOMEM;
                        if (stat(file, &st) >= 0 && S_ISREG(st.st_mode) &&
                            access(file, X_OK) >= 0) {
                                *ret = TAKE_PTR(file);
                                return 0;
                        }
                }
                path += n + (path[n] == ':');
        }
        return -ENOENT;
}

int executable_open_readonly(const char *path) {
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : executable_copy_readonly(fd);
}

int executable_copy_readonly(int executable_fd) {
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        _cleanup_close_ int fd = -1;

        fd = open_tree(executable_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (fd < 0)
                return -errno;
        if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int fd_close_from(int first) {
        return syscall(SYS_close_range, (unsigned) first, ~0U, 0) < 0 ? -errno : 0;
}

int fd_set_cloexec(int fd, bool cloexec) {
        return fcntl(fd, F_SETFD, cloexec ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, bool nonblock) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -errno;
        flags = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* The child's descriptors go through a range above all targets first, so that no dup2() overwrites
 * one that is still to be copied. */
static int add_fd_actions(posix_spawn_file_actions_t *actions, const int *fds, size_t n_fds,
                          int *copies) {
        for (size_t i = 0; i < n_fds; i++) {
                copies[i] = fds[i] >= 0 ? fcntl(fds[i], F_DUPFD_CLOEXEC, SPAWN_FDS_MAX)
                                        : open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (copies[i] < 0)
                        return -errno;
                if (copies[i] < SPAWN_FDS_MAX) {
                        int high = fcntl(copies[i], F_DUPFD_CLOEXEC, SPAWN_FDS_MAX);

                        if (high < 0)
                                return -errno;
                        fd_close(copies[i]);
                        copies[i] = high;
                }
        }
        for (size_t i = 0; i < n_fds; i++) {
                int r = posix_spawn_file_actions_adddup2(actions, copies[i], (int) i);

                if (r != 0)
                        return -r;
        }
        /* what somebody else left open without CLOEXEC must not leak either */
        return -posix_spawn_file_actions_addclosefrom_np(actions, (int) n_fds);
}

int process_spawn(const char *path, char *const argv[], char *const env[], const int *fds,
                  size_t n_fds, pid_t *ret_pid, int *ret_pidfd) {
        static const char *const minimal_env[] = {
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        int copies[SPAWN_FDS_MAX], pidfd, r;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t all, none;
        pid_t pid = 0;

        assert(path && argv && n_fds <= SPAWN_FDS_MAX && ret_pid && ret_pidfd);

        memset(copies, 0xff, sizeof(copies));
        (void) sigfillset(&all);
        (void) sigemptyset(&none);
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -ENOMEM;
        }
        (void) posix_spawnattr_setflags(&attributes,
                                        POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        (void) posix_spawnattr_setsigdefault(&attributes, &all);
        (void) posix_spawnattr_setsigmask(&attributes, &none);

        r = add_fd_actions(&actions, fds, n_fds, copies);
        if (r >= 0)
                r = -posix_spawn(&pid, path, &actions, &attributes, argv,
                                 env ? env : (char *const *) minimal_env);
        for (size_t i = 0; i < n_fds; i++)
                fd_close(copies[i]);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        if (r < 0)
                return r;

        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return pidfd;
        }
        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return 0;
}
