/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/copy-up.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/fs.h"

#define DEPTH_MAX 64U

static int copy_directory(int from_fd, int to_fd, unsigned depth, Error *e);

/* Best done, and no reason to fail: a tmpfs takes some of the names only. */
static void copy_xattrs(int from_fd, int to_fd) {
        char names[4096], value[4096];
        ssize_t size;

        size = flistxattr(from_fd, names, sizeof(names));
        for (const char *name = names; name < names + size; name += strlen(name) + 1) {
                ssize_t n = fgetxattr(from_fd, name, value, sizeof(value));

                if (n >= 0)
                        (void) fsetxattr(to_fd, name, value, (size_t) n, 0);
        }
}

static int copy_metadata(int from_fd, int to_fd, const struct stat *st) {
        const struct timespec times[] = {st->st_atim, st->st_mtim};

        if (fchown(to_fd, st->st_uid, st->st_gid) < 0 || fchmod(to_fd, st->st_mode & 07777) < 0)
                return -errno;
        copy_xattrs(from_fd, to_fd);
        return futimens(to_fd, times) < 0 ? -errno : 0;
}

static int copy_file(int from_dir, const char *name, int to_dir, const struct stat *st) {
        _cleanup_close_ int from_fd = -1, to_fd = -1;
        ssize_t n;

        from_fd = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (from_fd < 0)
                return -errno;
        to_fd = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to_fd < 0)
                return -errno;
        /* ends: the tmpfs is full before a file that grows is read to its end */
        do
                n = sendfile(to_fd, from_fd, NULL, 1U << 30);
        while (n > 0);
        return n < 0 ? -errno : copy_metadata(from_fd, to_fd, st);
}

static int copy_link(int from_dir, const char *name, int to_dir, const struct stat *st) {
        char target[PATH_MAX];
        ssize_t n;

        n = readlinkat(from_dir, name, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        if (symlinkat(target, to_dir, name) < 0 ||
            fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int copy_node(const char *name, int to_dir, const struct stat *st) {
        if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0 ||
            fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int copy_subdirectory(int from_dir, const char *name, int to_dir, const struct stat *st,
                             unsigned depth, Error *e) {
        _cleanup_close_ int from_fd = -1, to_fd = -1;
        int r;

        from_fd = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (from_fd < 0 || mkdirat(to_dir, name, 0700) < 0)
                return -errno;
        to_fd = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to_fd < 0)
                return -errno;
        r = copy_directory(from_fd, to_fd, depth + 1, e);
        return r == 0 ? copy_metadata(from_fd, to_fd, st) : r;
}

static int copy_entry(int from_dir, const char *name, int to_dir, unsigned depth, Error *e) {
        struct stat st;

        if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        switch (st.st_mode & S_IFMT) {
        case S_IFREG:
                return copy_file(from_dir, name, to_dir, &st);
        case S_IFLNK:
                return copy_link(from_dir, name, to_dir, &st);
        case S_IFDIR:
                return copy_subdirectory(from_dir, name, to_dir, &st, depth, e);
        case S_IFSOCK:
                return 0;
        default:
                return copy_node(name, to_dir, &st);
        }
}

static int copy_directory(int from_fd, int to_fd, unsigned depth, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r;

        if (depth > DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "More than %u directories deep",
                                  DEPTH_MAX);
        dir = dir_stream_open_at(from_fd, ".");
        if (!dir)
                return -errno;
        while ((errno = 0, de = readdir(dir))) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                r = copy_entry(from_fd, de->d_name, to_fd, depth, e);
                if (r != 0)
                        return error_setf(e, r, "%.128s: %m", de->d_name);
        }
        return -errno;
}

int copy_up(int from_fd, int to_fd, Error *e) {
        _cleanup_close_ int fd = -1, target_fd = -1;
        struct stat st;
        int r;

        /* neither is open for more than its place yet */
        target_fd = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        r = copy_directory(fd, target_fd, 0, e);
        if (r != 0)
                return r;
        if (fchown(target_fd, st.st_uid, st.st_gid) < 0)
                return -errno;
        return 0;
}
