/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/path.h"

#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define RESOLVE_RETRIES 128
#define DANGLING_MAX    8 /* links that lead to nothing, one after the other */

static int openat2_retry(int dir_fd, const char *path, uint64_t flags, uint64_t resolve) {
        struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
        int fd;

        /* -EAGAIN: somebody renamed or mounted on the way, and the kernel cannot tell whether ".."
         * left the root (openat2(2)). Somebody who never stops must not stop us. */
        for (unsigned i = 0; i < RESOLVE_RETRIES; i++) {
                fd = (int) syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN && errno != EINTR)
                        break;
        }
        return -errno;
}

int path_open(int root_fd, const char *path, int flags) {
        return openat2_retry(root_fd, path, (uint64_t) flags,
                             RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int path_open_straight(int root_fd, const char *path) {
        return openat2_retry(root_fd, path, O_PATH,
                             RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

int path_make_directory(int root_fd, const char *path) {
        char prefix[PATH_MAX];
        size_t length = strlen(path);
        const char *p = path;
        int fd;

        fd = path_open(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT)
                return fd;
        if (length >= sizeof(prefix))
                return -ENAMETOOLONG;

        /* From the top: each step resolves the whole prefix in the root, so that a link met on the
         * way counts as the kernel sees it, and makes one directory inside its parent. */
        for (;;) {
                _cleanup_close_ int parent = -1;
                const char *name;
                size_t n;

                p += strspn(p, "/");
                if (*p == '\0')
                        break;
                n = strcspn(p, "/");
                memcpy(prefix, path, (size_t) (p - path));
                prefix[p - path] = '\0';
                parent = path_open(root_fd, prefix[0] ? prefix : ".", O_PATH | O_DIRECTORY);
                if (parent < 0)
                        return parent;
                memcpy(prefix, p, n);
                prefix[n] = '\0';
                name = prefix;
                p += n;
                /* A dangling link is no place to make a directory at: the next step says so. */
                if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
                        return -errno;
        }
        return path_open(root_fd, path, O_PATH | O_DIRECTORY);
}

int path_make_parent(int root_fd, const char *path, const char **ret_name) {
        char parent[PATH_MAX];
        const char *name = strrchr(path, '/');
        size_t n;

        name = name ? name + 1 : path;
        n = (size_t) (name - path);
        if (streq(name, "") || streq(name, ".") || streq(name, ".."))
                return -EINVAL;
        if (n >= sizeof(parent))
                return -ENAMETOOLONG;
        *ret_name = name;
        memcpy(parent, path, n);
        parent[n] = '\0';
        return path_make_directory(root_fd, n > 0 ? parent : ".");
}

/* Where the link at path, in its directory parent, leads to: another path in the root. */
static int follow(int parent, const char *path, const char *name, char ret[static PATH_MAX]) {
        char link[PATH_MAX];
        ssize_t n;
        int k;

        n = readlinkat(parent, name, link, sizeof(link) - 1);
        if (n < 0)
                return -errno;
        link[n] = '\0';
        k = snprintf(ret, PATH_MAX, "%.*s%s", link[0] == '/' ? 0 : (int) (name - path), path, link);
        return k < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* What an image's link is to lead to, once somebody has made it, is made: /etc/resolv.conf is often
 * one into /run. Each path is resolved in the root anew, so no link leads out of it. */
static int make_file(int root_fd, const char *path) {
        char paths[2][PATH_MAX];

        for (unsigned i = 0; i <= DANGLING_MAX; i++) {
                _cleanup_close_ int parent = -1, fd = -1;
                const char *name;
                int r;

                parent = path_make_parent(root_fd, path, &name);
                if (parent < 0)
                        return parent;
                fd = openat(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            0644);
                if (fd >= 0)
                        return path_open(root_fd, path, O_PATH);
                if (errno != EEXIST)
                        return -errno;
                r = follow(parent, path, name, paths[i % 2]);
                if (r < 0)
                        return r == -EINVAL ? -EEXIST : r; /* no link: somebody else has made it */
                path = paths[i % 2];
        }
        return -ELOOP;
}

int path_make_mountpoint(int root_fd, const char *path, bool directory) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (directory)
                return path_make_directory(root_fd, path);

        fd = path_open(root_fd, path, O_PATH);
        if (fd == -ENOENT)
                return make_file(root_fd, path);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return TAKE_FD(fd);
}
