/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/walk.h"

#include <fcntl.h>

#include "basic/fs.h"

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void walk_names_clear(WalkNames *n) {
        for (size_t i = 0; i < n->n; i++)
                free(n->names[i]);
        free(n->names);
        *n = (WalkNames){};
}

static int add_name(WalkNames *n, size_t *allocated, const char *name) {
        if (n->n == *allocated) {
                size_t more = MAX_OF(*allocated * 2, (size_t) 32);
                char **larger = reallocarray(n->names, more, sizeof(char *));

                if (!larger)
                        return -ENOMEM;
                n->names = larger;
                *allocated = more;
        }
        n->names[n->n] = strdup(name);
        if (!n->names[n->n])
                return -ENOMEM;
        n->n++;
        return 0;
}

int walk_names(int dir_fd, const char *path, uint64_t max, WalkNames *ret, Error *e) {
        _cleanup_(walk_names_clear) WalkNames names = {};
        _cleanup_closedir_ DIR *dir = NULL;
        size_t allocated = 0;
        struct dirent *de;

        dir = dir_stream_open_at(dir_fd, ".");
        if (!dir)
                return error_setf(e, -errno, "Failed to open \"%s\": %m", path);
        while ((errno = 0, de = readdir(dir))) {
                int r;

                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                if (names.n >= max)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "There are too many files in \"%s\"", path);
                r = add_name(&names, &allocated, de->d_name);
                if (r < 0)
                        return r;
        }
        if (errno != 0)
                return error_setf(e, -errno, "Failed to read \"%s\": %m", path);
        if (names.n > 0)
                qsort(names.names, names.n, sizeof(char *), compare_names);
        *ret = names;
        names = (WalkNames){};
        return 0;
}

bool walk_names_has(const WalkNames *n, const char *name) {
        return n->n > 0 && bsearch(&name, n->names, n->n, sizeof(char *), compare_names) != NULL;
}

int walk_open(int dir_fd, const char *name, const char *path, int *ret_fd, struct stat *ret_st,
              Error *e) {
        _cleanup_close_ int fd = -1;

        fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0 || fstat(fd, ret_st) < 0)
                return error_setf(e, -errno, "Failed to look at \"%s\": %m", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int walk_reopen(int path_fd, bool directory) {
        char proc[STRLEN("/proc/self/fd/") + 12];
        int fd;

        if (directory)
                fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else {
                (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", path_fd);
                fd = open(proc, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        }
        return fd < 0 ? -errno : fd;
}
