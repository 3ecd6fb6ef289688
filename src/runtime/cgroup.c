/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/cgroup.h"

#include <limits.h>

#include "basic/cgroup.h"
#include "runtime/path.h"

/* What of path is below directory, an absolute path that may begin with a mount point. */
static const char *path_below(const char *path, const char *directory) {
        for (const char *p = directory; p; p = strchr(p + 1, '/')) {
                const char *rest = startswith(path, p);

                if (rest && (*rest == '/' || *rest == '\0'))
                        return rest;
        }
        return NULL;
}

int cgroup_open_of(int cgroup_fd, pid_t pid, int *ret_fd, Error *e) {
        _cleanup_free_ char *own = NULL, *path = NULL;
        char link[64], directory[PATH_MAX];
        const char *rest;
        ssize_t n;
        int fd, r;

        r = cgroup_path_of(pid, &own, e);
        if (r != 0)
                return r;
        if (asprintf(&path, "/%s", own) < 0)
                return -ENOMEM;
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", cgroup_fd);
        n = readlink(link, directory, sizeof(directory) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read %s: %m", link);
        directory[n] = '\0';

        rest = path_below(path, directory);
        if (!rest)
                return error_setf(e, -EXDEV, "The cgroup %s of process %d is not below %s", path,
                                  pid, directory);
        fd = path_open(cgroup_fd, *rest ? rest : ".", O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open the cgroup %s: %m", path);
        *ret_fd = fd;
        return 0;
}
