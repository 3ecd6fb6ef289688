/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/fs.h"

#include <fcntl.h>
#include <sys/stat.h>

int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;

        assert(fd >= 0 && max < SIZE_MAX / 4 && ret_data);

        for (;;) {
                ssize_t n;

                if (allocated - size < 2) {
                        char *larger;

                        allocated = allocated ? allocated * 2 : 4096;
                        larger = realloc(data, allocated);
                        if (!larger)
                                return -ENOMEM;
                        data = larger;
                }
                n = read(fd, data + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
        }

        data[size] = '\0';
        *ret_data = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        assert(path && ret_data);

        /* O_NONBLOCK: a fifo in the place of a file must not hang us */
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        return fd_read_all(fd, max, ret_data, ret_size);
}

int fd_write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int file_write_atomic_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
                         FileWriteFlags flags) {
        _cleanup_close_ int fd = -1;
        char temporary[NAME_MAX + 1];
        int r;

        assert(name && !strchr(name, '/') && (data || size == 0));

        r = snprintf(temporary, sizeof(temporary), ".#%s", name);
        if (r < 0 || (size_t) r >= sizeof(temporary))
                return -ENAMETOOLONG;

        /* one writer per file: a temporary one that is there was left by a crash */
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;

        r = fd_write_all(fd, data, size);
        if (r >= 0 && (flags & FILE_WRITE_SYNC) && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, temporary, 0);
                return r;
        }
        if ((flags & FILE_WRITE_SYNC) && fsync(dir_fd) < 0)
                return -errno;
        return 0;
}

int dir_open_make_at(int dir_fd, const char *path, mode_t mode) {
        char component[NAME_MAX + 1];
        _cleanup_close_ int current = -1;
        int r;

        assert(!isempty(path));

        if (path[0] == '/') {
                current = open("/", O_DIRECTORY | O_CLOEXEC | O_PATH);
                if (current < 0)
                        return -errno;
        }
        while ((r = path_next(&path, component)) > 0) {
                int next;

                if (mkdirat(current >= 0 ? current : dir_fd, component, mode) < 0 &&
                    errno != EEXIST)
                        return -errno;
                /* symbolic links of the system (/var/run -> /run) are followed on the way, not at
                 * the end */
                next = openat(current >= 0 ? current : dir_fd, component,
                              O_DIRECTORY | O_CLOEXEC | (*path ? O_PATH : O_NOFOLLOW));
                if (next < 0)
                        return -errno;
                fd_close(current);
                current = next;
        }
        if (r < 0)
                return r;
        if (current < 0)
                return -EINVAL;
        return TAKE_FD(current);
}

DIR *dir_stream_open_at(int dir_fd, const char *path) {
        int fd;
        DIR *dir;

        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return NULL;
        dir = fdopendir(fd);
        if (!dir)
                fd_close(fd);
        return dir;
}

/* A tree on its way out. */
typedef struct Removal {
        int top_fd;
        dev_t dev;
        unsigned counter; /* for names in the top directory */
} Removal;

/* 1 if the name is gone, 0 if it is a directory with something in it. */
static int name_remove(int dir_fd, const char *name) {
        if (unlinkat(dir_fd, name, 0) >= 0 || errno == ENOENT)
                return 1;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                return 1;
        return errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;
}

/* Moves a directory found inside a doomed tree up to its top, so that the tree is emptied level by
 * level with a constant number of descriptors and no path longer than one name. */
static int dir_hoist(Removal *v, int dir_fd, const char *name) {
        char target[32];

        for (;;) {
                (void) snprintf(target, sizeof(target), ".#doomed-%u", v->counter++);
                if (renameat2(dir_fd, name, v->top_fd, target, RENAME_NOREPLACE) >= 0)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
        }
}

static int dir_empty(Removal *v, int fd);

/* In the top directory: empties a sub-directory and removes it. What that had as sub-directories is
 * in the top directory now. */
static int dir_remove(Removal *v, const char *name) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        fd = openat(v->top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_dev != v->dev)
                return -EXDEV;
        r = dir_empty(v, fd);
        if (r < 0)
                return r;
        return unlinkat(v->top_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int dir_empty(Removal *v, int fd) {
        _cleanup_closedir_ DIR *dir = NULL;
        bool again = true;
        int r;

        dir = dir_stream_open_at(fd, ".");
        if (!dir)
                return -errno;
        while (again) {
                struct dirent *de;

                again = false;
                rewinddir(dir);
                while ((errno = 0, de = readdir(dir))) {
                        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                                continue;
                        r = name_remove(fd, de->d_name);
                        if (r > 0)
                                continue;
                        if (r == 0 && fd != v->top_fd)
                                r = dir_hoist(v, fd, de->d_name);
                        else if (r == 0) {
                                r = dir_remove(v, de->d_name);
                                again = true;
                        }
                        if (r < 0)
                                return r;
                }
                if (errno != 0)
                        return -errno;
        }
        return 0;
}

int tree_remove_at(int dir_fd, const char *name) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        assert(!isempty(name));

        r = name_remove(dir_fd, name);
        if (r != 0)
                return r < 0 ? r : 0;
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        r = dir_empty(&(Removal){.top_fd = fd, .dev = st.st_dev}, fd);
        if (r < 0)
                return r;
        return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int path_next(const char **path, char ret_component[static NAME_MAX + 1]) {
        const char *p = *path + strspn(*path, "/");
        size_t n = strcspn(p, "/");

        if (n == 0)
                return 0;
        if (n > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(ret_component, p, n);
        ret_component[n] = '\0';
        p += n;
        *path = p + strspn(p, "/");
        return 1;
}

bool path_is_below(const char *path, const char *prefix) {
        for (;;) {
                size_t n;

                path += strspn(path, "/");
                prefix += strspn(prefix, "/");
                if (*prefix == '\0')
                        return true;
                n = strcspn(prefix, "/");
                if (strcspn(path, "/") != n || strncmp(path, prefix, n) != 0)
                        return false;
                path += n;
                prefix += n;
        }
}
