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

typedef int (*CgroupEach)(int parent_fd, const char *name, int fd, void *userdata);

/* The cgroups below fd, children first. Goes on after a failure and returns the first one. */
static int walk(int fd, unsigned depth, CgroupEach each, void *userdata) {
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
                k = child < 0 ? -errno : walk(child, depth + 1, each, userdata);
                if (k >= 0)
                        k = each(fd, de->d_name, child, userdata);
                if (k < 0 && r >= 0)
                        r = k;
        }
        return errno != 0 && r >= 0 ? -errno : r;
}

typedef struct ProcessWalk {
        int (*each)(pid_t pid, void *userdata);
        void *userdata;
} ProcessWalk;

static int each_process_of(int parent_fd, const char *name, int fd, void *userdata) {
        _cleanup_free_ char *pids = NULL;
        const ProcessWalk *w = userdata;
        char *save = NULL;
        int r;

        r = file_read_at(fd, "cgroup.procs", CGROUP_PROCS_MAX, &pids, NULL);
        if (r == -EOPNOTSUPP || r == -ENODEV || r == -ENOENT)
                return 0; /* a threaded cgroup: its processes are listed further up; or removed */
        if (r < 0)
                return r;
        for (char *s = strtok_r(pids, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
                pid_t pid = (pid_t) strtol(s, NULL, 10);
                /* 0: in a pid namespace that we do not see */
                int k = pid > 0 ? w->each(pid, w->userdata) : 0;

                if (k < 0 && r >= 0)
                        r = k;
        }
        return r;
}

int cgroup_each_process(int fd, int (*each)(pid_t pid, void *userdata), void *userdata) {
        ProcessWalk w = {each, userdata};
        int r, k;

        r = each_process_of(-1, NULL, fd, &w);
        k = walk(fd, 0, each_process_of, &w);
        return r < 0 ? r : k;
}

static int each_remove(int parent_fd, const char *name, int fd, void *userdata) {
        return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove_tree(int parent_fd, const char *path, int fd) {
        int r;

        if (unlinkat(parent_fd, path, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                return 0;
        /* the container made cgroups of its own */
        r = walk(fd, 0, each_remove, NULL);
        if (unlinkat(parent_fd, path, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                return 0;
        return r < 0 ? r : -errno;
}
