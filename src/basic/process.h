/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Processes through pidfds: a pid may be reused, a pidfd never names another process. Spawned
 * children get exactly the descriptors they were given.
 */

#include <signal.h>
#include <sys/wait.h>

#include "basic/macro.h"

/* Descriptor (CLOEXEC) or -errno. */
int pidfd_open_pid(pid_t pid);

/* 0, -ESRCH if the process is gone. */
int pidfd_signal(int pidfd, int signo);

/* Reaps the child behind pidfd (blocking). *ret_status is its exit status: the code, or 128 +
 * signal number if it was killed (what shells and containerd report). */
int pidfd_wait(int pidfd, int *ret_status);

/* Ends a child that nobody asks about any more, without waiting: what is in uninterruptible sleep
 * (a dead network file system) does not even die of SIGKILL. It is reaped now if it is dead, else
 * by whoever reaps the children that he does not know. */
void pidfd_forsake(int pidfd);

/* Waits until a process has exited, whoever's child it is; it is not reaped. 1, 0 at the deadline
 * (of now_monotonic()), -errno. */
int pidfd_wait_until(int pidfd, uint64_t deadline);

/* Ends a child and reaps it, unless it takes longer to die than that: see pidfd_forsake(). */
void pidfd_end(int pidfd, uint64_t timeout_usec);

/* The exit status in the sense of pidfd_wait() from what waitid() filled in. */
int exit_status_from_siginfo(const siginfo_t *si) _pure_;

/* Starts path with argv (NULL environment: a minimal one with PATH). fds[i] becomes descriptor i of
 * the child for i < n_fds, -1 becomes /dev/null; everything else is closed. Signals are reset to
 * default and unblocked. *ret_pidfd is CLOEXEC. */
int process_spawn(const char *path, char *const argv[], char *const env[], const int *fds,
                  size_t n_fds, pid_t *ret_pid, int *ret_pidfd);

/* A clone as fork() makes one, but without signal handlers (what is ignored stays so), in new
 * namespaces of flags (CLONE_NEW*, CLONE_PARENT), and in the cgroup of that directory's descriptor
 * from its first moment on (-1: in the caller's). A move into a cgroup waits for all CPUs of the
 * machine, this does not. But since Linux 6.14 or so the clone is killed before it runs if one of
 * the two cgroups was written to the cgroup.kill of and the other was not, or not as often: the
 * kernel counts that, and compares the wrong counts. The pid, 0 in the clone, or -errno: -EBUSY if
 * that cgroup is an inner node. *ret_pidfd is CLOEXEC. */
pid_t process_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd);

/* Looks for an executable file called name in the directories of $PATH. *ret is its path, to be
 * freed. 0, -ENOENT, -ENOMEM. */
int process_find_program(const char *name, char **ret);

/* Descriptor (O_PATH, CLOEXEC) or -errno of the program at path on a private, read-only mount of
 * its own, to be spawned as "/proc/<own pid>/fd/<fd>". Whoever gets hold of the /proc/PID/exe of
 * such a process cannot write to the file through it (CVE-2019-5736), root or not. Needs
 * CAP_SYS_ADMIN. */
int executable_open_readonly(const char *path);
/* The same of a program that is open already. */
int executable_copy_readonly(int executable_fd);

/* Closes every descriptor from first on (inclusive). */
int fd_close_from(int first);

int fd_set_cloexec(int fd, bool cloexec);
int fd_set_nonblock(int fd, bool nonblock);
