/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "basic/fs.h"

#define CGROUP_FILE_MAX (64U * 1024) /* a path, and a short line for each v1 hierarchy */

int cgroup_root_open(int *ret_fd, Error *e) {
        static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_close_ int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
                struct statfs sfs;

                if (fd >= 0 && fstatfs(fd, &sfs) >= 0 && sfs.f_type == CGROUP2_SUPER_MAGIC) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
        return error_setf(e, CTR_NOT_IMPLEMENTED, "No unified cgroup hierarchy is mounted");
}

/* Only as a whole component: "a..b" is a name like any other. */
static bool leads_out(const char *path) {
        for (const char *p = path; (p = strstr(p, "..")); p += 2)
                if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
                        return true;
        return false;
}

char *cgroup_path_in(char *text) {
        for (char *line = text, *next; line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (startswith(line, "0::/")) {
                        char *path = line + STRLEN("0::/");

                        /* outside of our cgroup namespace, where nothing of ours is */
                        return leads_out(path) ? NULL : path;
                }
        }
        return NULL;
}

int cgroup_path_of(pid_t pid, char **ret, Error *e) {
        char file[STRLEN("/proc//cgroup") + 11 + 1];
        _cleanup_free_ char *text = NULL;
        const char *path;
        int r;

        if (pid == 0)
                strcpy(file, "/proc/self/cgroup");
        else
                (void) snprintf(file, sizeof(file), "/proc/%i/cgroup", (int) pid);
        r = file_read_at(AT_FDCWD, file, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", file);
        path = cgroup_path_in(text);
        if (!path)
                return error_setf(e, CTR_UNAVAILABLE, "%s names no cgroup of this system", file);
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

int cgroup_is_populated(int dir_fd, const char *path) {
        _cleanup_free_ char *file = NULL, *text = NULL;
        char *saved = NULL;
        int r;

        if (asprintf(&file, "%s/cgroup.events", path) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        r = file_read_at(dir_fd, file, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (char *s = strtok_r(text, "\n", &saved); s; s = strtok_r(NULL, "\n", &saved)) {
                const char *value = startswith(s, "populated ");

                if (value)
                        return streq(value, "1") ? 1 : streq(value, "0") ? 0 : -EBADMSG;
        }
        return -EBADMSG;
}
