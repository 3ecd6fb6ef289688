/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/oom.h"

#include <fcntl.h>

#include "runtime/cgroup-tree.h"

void oom_levels_read(int cgroup_fd, OomLevels *ret) {
        char path[3 * OOM_LEVELS_MAX + sizeof("memory.events.local")];

        *ret = (OomLevels){};
        for (size_t i = 0; i < OOM_LEVELS_MAX; i++) {
                _cleanup_close_ int fd = -1;
                char *p = path;

                for (size_t k = 0; k < i; k++)
                        p = stpcpy(p, "../");
                /* in the first one the container may have made cgroups with limits of their own */
                (void) stpcpy(p, i == 0 ? "memory.events" : "memory.events.local");
                fd = openat(cgroup_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0 && i > 0)
                        break; /* the root of the hierarchy has none, and nothing above it */
                if (fd >= 0)
                        (void) cgroup_flat_file_get(fd, "oom", &ret->hits[i]);
        }
}

int oom_levels_grown(const OomLevels *before, const OomLevels *now) {
        for (size_t i = 0; i < OOM_LEVELS_MAX; i++)
                if (now->hits[i] > before->hits[i])
                        return (int) i;
        return -1;
}

int oom_level_path(const char *path, int level, char **ret) {
        _cleanup_free_ char *p = NULL;

        if (level < 0) {
                *ret = strdup("");
                return *ret ? 0 : -ENOMEM;
        }
        if (asprintf(&p, "/%s", path) < 0)
                return -ENOMEM;
        for (; level > 0; level--) {
                char *slash = strrchr(p, '/');

                if (slash == p)
                        break;
                *slash = '\0';
        }
        *ret = TAKE_PTR(p);
        return 0;
}
