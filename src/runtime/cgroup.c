/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/cgroup.h"

#include <limits.h>

#include "basic/fs.h"
#include "runtime/path.h"

#define CGROUP_FILE_MAX (64U * 1024)

/* The path in the unified hierarchy from the text of /proc/PID/cgroup, cut out in place. */
static char *unified_path(char *text) {
        for (char *line = text, *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (startswith(line, "0::/"))
                        return line + STRLEN("0::");
        }
        return NULL;
}

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
        _cleanup_free_ char *text = NULL;
        char link[64], directory[PATH_MAX];
        const char *path, *rest;
        ssize_t n;
        int fd, r;

        (void) snprintf(link, sizeof(link), "/proc/%d/cgroup", pid);
        r = file_read_at(AT_FDCWD, link, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", link);
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", cgroup_fd);
        n = readlink(link, directory, sizeof(directory) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read %s: %m", link);
        directory[n] = '\0';

        path = unified_path(text);
        rest = path ? path_below(path, directory) : NULL;
        if (!rest)
                return error_setf(e, -EXDEV, "The cgroup %s of process %d is not below %s",
                                  strempty(path), pid, directory);
        fd = path_open(cgroup_fd, *rest ? rest : ".", O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open the cgroup %s: %m", path);
        *ret_fd = fd;
        return 0;
}
