/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "basic/fs.h"
#include "runtime/path.h"

static int write_file(const char *path, const char *value) {
        _cleanup_close_ int fd = -1;

        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        return fd_write_all(fd, value, strlen(value));
}

/* Without rights and not dumpable we are not even the owner of our own files in /proc. Still in the
 * caller's namespaces that is lifted for a moment: who may look at us then is the caller himself.
 */
static int write_own_score(const char *value) {
        int r;

        r = write_file("/proc/self/oom_score_adj", value);
        if (r != -EACCES || geteuid() == 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
                return r;
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
                return -errno;
        r = write_file("/proc/self/oom_score_adj", value);
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : r;
}

int process_set_oom_score(const SpecProcess *p, Error *e) {
        char value[16];
        int r;

        if (!p->oom_score_adj_set)
                return 0;
        (void) snprintf(value, sizeof(value), "%d", p->oom_score_adj);
        r = write_own_score(value);
        if (r < 0)
                return error_setf(e, r == -EACCES ? CTR_PERMISSION_DENIED : r,
                                  "Failed to set process.oomScoreAdj to %d: %s", p->oom_score_adj,
                                  strerror(-r));
        return 0;
}

/* "net.ipv4.conf.eth0/1.forwarding" as sysctl(8) has it: the first separator says which of the two
 * it is, the other one is a part of the name. */
static void sysctl_path(char *path) {
        char separator = path[strcspn(path, "./")];

        for (; separator == '.' && *path; path++)
                *path = *path == '.' ? '/' : *path == '/' ? '.' : *path;
}

int sysctls_apply(const SpecSysctl *sysctls, size_t n, Error *e) {
        for (size_t i = 0; i < n; i++) {
                char path[STRLEN("/proc/sys/") + 256 + 1];
                int r;

                r = snprintf(path, sizeof(path), "/proc/sys/%s", sysctls[i].name);
                if (r < 0 || (size_t) r >= sizeof(path))
                        return error_setf(e, -ENAMETOOLONG, "sysctl %s: %m", sysctls[i].name);
                sysctl_path(path + STRLEN("/proc/sys/"));
                if (strstr(path, ".."))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "sysctl %s: not a name",
                                          sysctls[i].name);
                r = write_file(path, sysctls[i].value);
                if (r < 0)
                        return error_setf(e, r, "Failed to set sysctl %s to \"%.64s\": %m",
                                          sysctls[i].name, sysctls[i].value);
        }
        return 0;
}

int process_new_keyring(Error *e) {
        /* A kernel without keys has none to protect. EDQUOT: root's quota of keys is used up, as a
         * few hundred containers can do; then there is one keyring less, and it is the one of the
         * supervisor, which is empty: it was started by the manager, never by a login. */
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
            errno != EDQUOT)
                return error_setf(e, -errno, "Failed to make a session keyring: %m");
        return 0;
}

/* EINVAL: no id 0 is mapped. Then we act with all capabilities as who we are. EPERM: a namespace
 * made without privileges, where setgroups() is denied (user_namespaces(7)). */
int process_become_root(Error *e) {
        if (setgroups(0, NULL) < 0 && errno != EPERM)
                return error_setf(e, -errno, "Failed to leave the groups of outside: %m");
        if (setresgid(0, 0, 0) < 0 && errno != EINVAL)
                return error_setf(e, -errno, "Failed to become group 0 of the user namespace: %m");
        if (setresuid(0, 0, 0) < 0 && errno != EINVAL)
                return error_setf(e, -errno, "Failed to become root of the user namespace: %m");
        return 0;
}

int process_enter_directory(int root_fd, const char *path, bool make, Error *e) {
        _cleanup_close_ int fd = -1;

        fd = make ? path_make_directory(root_fd, path)
                  : path_open(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open the working directory %s: %m", path);
        if (fchdir(fd) < 0)
                return error_setf(e, -errno, "Failed to enter the working directory %s: %m", path);
        return 0;
}

int process_set_stdio(const int fds[3], unsigned preserve_fds, Error *e) {
        const unsigned first = 3U + preserve_fds;
        int copies[3];

        /* from above the targets, so that no dup2() overwrites one that is still to be copied */
        for (int i = 0; i < 3; i++) {
                copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int) first);
                if (copies[i] < 0)
                        return error_setf(e, -errno, "Failed to duplicate stream %d: %m", i);
        }
        for (int i = 0; i < 3; i++)
                if (dup2(copies[i], i) < 0)
                        return error_setf(e, -errno, "Failed to set stream %d: %m", i);
        if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return error_setf(e, -errno, "Failed to mark descriptors: %m");
        return 0;
}

int process_give_streams(const int fds[3], uid_t uid, gid_t gid, Error *e) {
        for (int i = 0; i < 3; i++) {
                struct statfs sfs;

                if (fds[i] < 0)
                        continue;
                if (fstatfs(fds[i], &sfs) < 0 ||
                    (sfs.f_type == PIPEFS_MAGIC && fchown(fds[i], uid, gid) < 0))
                        return error_setf(e, -errno, "Failed to give stream %d away: %m", i);
        }
        return 0;
}

/* What -EINVAL means where an id is changed. */
static const char *unmapped(int r) {
        return r == -EINVAL ? ", which the user namespace does not have" : "";
}

int process_give_stdio(uid_t uid, Error *e) {
        if (uid == 0)
                return 0;
        for (int i = 0; i < 3; i++) {
                struct statfs sfs;

                if (fstatfs(i, &sfs) < 0)
                        return error_setf(e, -errno, "Failed to stat stream %d: %m", i);
                if (sfs.f_type != PIPEFS_MAGIC && sfs.f_type != DEVPTS_SUPER_MAGIC)
                        continue;
                /* EPERM: from outside of our user namespace, as who is not root has them */
                if (fchown(i, uid, (gid_t) -1) < 0 && errno != EPERM)
                        return error_setf(e, -errno, "Failed to give stream %d to user %u%s: %m", i,
                                          uid, unmapped(-errno));
        }
        return 0;
}

int process_set_user(const User *u, Error *e) {
        /* a user namespace that was made without privileges takes no groups; it has none either */
        if (setgroups(u->n_gids, u->gids) < 0 && (errno != EPERM || u->n_gids > 0))
                return error_setf(e, -errno, "Failed to set %zu supplementary groups: %m",
                                  u->n_gids);
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to keep capabilities: %m");
        if (setresgid(u->gid, u->gid, u->gid) < 0)
                return error_setf(e, -errno, "Failed to become group %u%s: %m", u->gid,
                                  unmapped(-errno));
        if (setresuid(u->uid, u->uid, u->uid) < 0)
                return error_setf(e, -errno, "Failed to become user %u%s: %m", u->uid,
                                  unmapped(-errno));
        if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to unset keeping capabilities: %m");
        /* the change of ids has made this what fs.suid_dumpable says */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become undumpable: %m");
        return 0;
}

int process_set_controlling_terminal(Error *e) {
        if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
                return error_setf(e, -errno, "Failed to make the terminal the controlling one: %m");
        return 0;
}

int process_environment(const SpecProcess *p, const char *home, char ***ret, Error *e) {
        _cleanup_free_ char **l = NULL;

        l = calloc(p->n_env + 2, sizeof(char *));
        if (!l)
                return error_setf(e, -ENOMEM, "Failed to make the environment: %m");
        if (p->n_env > 0)
                memcpy(l, p->env, p->n_env * sizeof(char *));
        if (home && asprintf(&l[p->n_env], "HOME=%s", home) < 0)
                return error_setf(e, -ENOMEM, "Failed to make the environment: %m");
        *ret = TAKE_PTR(l);
        return 0;
}
