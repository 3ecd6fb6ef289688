/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/inside.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

/* a rename somewhere else makes the kernel give up on ".." (openat2(2)) */
#define ATTEMPTS_MAX 128U

int inside_open(int root_fd, const char *path, int flags) {
        struct open_how how = {
                        .flags = (uint64_t) (flags | O_CLOEXEC),
                        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        int fd = -1;

        for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
                fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
                if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
                        break;
        }
        return fd < 0 ? -errno : fd;
}

void inside_file_clear(InsideFile *f) {
        f->fd = fd_close(f->fd);
}

/* The last part of the path; *ret_directory if the path says that it is to be one. */
static int last_part(const char *path, char ret[static NAME_MAX + 1], bool *ret_directory) {
        size_t end = strlen(path), start;

        *ret_directory = end == 0;
        while (end > 0 && path[end - 1] == '/') {
                *ret_directory = true;
                end--;
        }
        for (start = end; start > 0 && path[start - 1] != '/';)
                start--;
        if (end - start > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(ret, path + start, end - start);
        ret[end - start] = '\0';
        if (!*ret || streq(ret, ".") || streq(ret, "..")) {
                strcpy(ret, ".");
                *ret_directory = true;
        }
        return 0;
}

static int find_error(int r, const char *path, Error *e) {
        switch (r) {
        case -ENOENT:
                return error_setf(e, CTR_NOT_FOUND, "There is no \"%.200s\" in the container",
                                  path);
        case -ENOTDIR:
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "\"%.200s\" in the container is no directory, or not in one",
                                  path);
        case -ELOOP:
                return error_setf(
                                e, CTR_INVALID_ARGUMENT,
                                "\"%.200s\" leads through too many symbolic links, or one that is "
                                "none",
                                path);
        case -ENAMETOOLONG:
                return error_setf(e, CTR_INVALID_ARGUMENT, "The path \"%.200s...\" is too long",
                                  path);
        case -EAGAIN:
                return error_setf(e, CTR_CONFLICT,
                                  "The way to \"%.200s\" in the container changed all the time",
                                  path);
        case -EACCES:
        case -EPERM:
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "\"%.200s\" in the container cannot be opened", path);
        default:
                return error_setf(e, r, "Failed to open \"%.200s\" in the container: %m", path);
        }
}

int inside_find(int root_fd, const char *path, bool follow, InsideFile *ret, Error *e) {
        InsideFile f = INSIDE_FILE_NULL;
        bool directory;
        int r;

        assert(root_fd >= 0 && path && ret);

        r = last_part(path, f.name, &directory);
        if (r == 0)
                r = f.fd = inside_open(root_fd, *path ? path : "/",
                                       O_PATH | (directory ? O_DIRECTORY : 0) |
                                                       (directory || follow ? 0 : O_NOFOLLOW));
        if (r < 0)
                return find_error(r, path, e);
        if (fstat(f.fd, &f.st) < 0) {
                r = -errno;
                inside_file_clear(&f);
                return find_error(r, path, e);
        }
        *ret = f;
        return 0;
}
