/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LINKS_MAX 40U   /* as the kernel */
#define STEPS_MAX 1024U /* components, those of the links' targets included */

int beneath_open(int root_fd, const char *path, int flags) {
        struct open_how how = {
                        .flags = (uint64_t) (flags | O_CLOEXEC | O_NOFOLLOW),
                        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                                   RESOLVE_NO_XDEV,
        };
        int fd;

        fd = (int) syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
        return fd < 0 ? -errno : fd;
}

/* 1 and the target if path is a symbolic link, 0 if it is something else or not there. */
static int read_link(int root_fd, const char *path, char target[static PATH_MAX]) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        ssize_t n;

        fd = beneath_open(root_fd, path, O_PATH);
        if (fd < 0)
                return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISLNK(st.st_mode))
                return 0;
        n = readlinkat(fd, "", target, PATH_MAX);
        if (n < 0)
                return -errno;
        if (n >= PATH_MAX)
                return -ENAMETOOLONG;
        target[n] = '\0';
        return 1;
}

/* One component more or, with "..", less. */
static int step(char path[static PATH_MAX], const char *name, size_t n) {
        size_t used = strlen(path);

        if (n == 1 && name[0] == '.')
                return 0;
        if (n == 2 && name[0] == '.' && name[1] == '.') {
                char *slash = strrchr(path, '/');

                *(slash ? slash : path) = '\0';
                return 0;
        }
        if (used + 1 + n >= PATH_MAX)
                return -ENAMETOOLONG;
        if (used > 0)
                path[used++] = '/';
        memcpy(path + used, name, n);
        path[used + n] = '\0';
        return 0;
}

/* 0, -ELOOP, -ENAMETOOLONG or what looking at the tree gives. */
static int resolve(int root_fd, const char *path, char ret[static PATH_MAX]) {
        char rest[2 * PATH_MAX], next[2 * PATH_MAX], target[PATH_MAX];
        unsigned links = 0, steps = 0;

        ret[0] = '\0';
        if (strlen(path) >= sizeof(rest))
                return -ENAMETOOLONG;
        strcpy(rest, path);
        for (const char *p = rest; *(p += strspn(p, "/"));) {
                size_t n = strcspn(p, "/"), before = strlen(ret);
                int r;

                if (++steps > STEPS_MAX)
                        return -ELOOP;
                r = step(ret, p, n);
                if (r < 0)
                        return r;
                p += n;
                r = read_link(root_fd, ret, target);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                if (++links > LINKS_MAX)
                        return -ELOOP;
                /* what was to follow the link follows its target */
                r = snprintf(next, sizeof(next), "%s/%s", target, p);
                if (r < 0 || (size_t) r >= sizeof(next))
                        return -ENAMETOOLONG;
                strcpy(rest, next);
                p = rest;
                ret[target[0] == '/' ? 0 : before] = '\0';
        }
        return 0;
}

int beneath_resolve(int root_fd, const char *path, char ret[static PATH_MAX], Error *e) {
        int r;

        assert(root_fd >= 0 && path);

        r = resolve(root_fd, path, ret);
        if (r == -ELOOP)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%.200s\" leads through too many symbolic links", path);
        if (r == -ENAMETOOLONG)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%.200s\" leads through symbolic links to a too long name",
                                  path);
        if (r < 0)
                return error_setf(e, r, "Failed to look up \"%.200s\": %m", path);
        return 0;
}
