/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/cgroup-tree.h"

#include <fcntl.h>

#include "basic/fs.h"

#define CGROUP_DEPTH_MAX 64U /* what a hostile container may nest */

int cgroup_attribute_write(int cgroup_fd, const char *name, const char *value) {
        _cleanup_close_ int fd = openat(cgroup_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int cgroup_flat_file_get(int fd, const char *key, uint64_t *ret) {
        char buffer[1024];
        char *p = buffer;
        ssize_t n;

        n = pread(fd, buffer, sizeof(buffer) - 1, 0);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';

        while (p && *p) {
                const char *value = startswith(p, key);

                if (value && *value == ' ') {
                        *ret = strtoull(value + 1, NULL, 10);
                        return 0;
                }
                p = strchr(p, '\n');
                if (p)
                        p++;
        }
        return -ENODATA;
}

static int walk(int fd, unsigned depth,
                int (*each)(int parent_fd, const char *name, int fd, int arg), int arg) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r = 0;

        if (depth > CGROUP_DEPTH_MAX)
                return -ELOOP;
        dir = dir_stream_open_at(fd, ".");
        if (!dir)
                return -errno;

        while ((errno = 0, de = readdir(dir))) {
                _cleanup_close_ int child = -1;
                int k;

                if (de->d_type != DT_DIR || de->d_name[0] == '.')
                        continue;
                child = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (child < 0 && errno == ENOENT)
                        continue;
                k = child < 0 ? -errno : walk(child, depth + 1, each, arg);
                if (k >= 0)
                        k = each(fd, de->d_name, child, arg);
                if (k < 0 && r >= 0)
                        r = k;
        }
        return errno != 0 && r >= 0 ? -errno : r;
}

int cgroup_walk(int fd, int (*each)(int parent_fd, const char *name, int fd, int arg), int arg) {
        return walk(fd, 0, each, arg);
}
