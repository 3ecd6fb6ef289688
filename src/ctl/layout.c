/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "ctl/arguments.h"
#include "ctl/copy-child.h"
#include "ctl/job.h"

/* The directory while it is being filled, beside the place that it is for. */
typedef struct Layout {
        int parent_fd, fd;
        char *name, *temporary;
} Layout;

static void layout_clear(Layout *l) {
        if (l->temporary)
                (void) tree_remove_at(l->parent_fd, l->temporary);
        free(l->temporary);
        free(l->name);
        fd_close(l->fd);
        fd_close(l->parent_fd);
}

/* Both are new strings. */
static int split_path(const char *path, char **ret_parent, char **ret_name) {
        size_t n = strlen(path), start;

        while (n > 1 && path[n - 1] == '/')
                n--;
        for (start = n; start > 0 && path[start - 1] != '/';)
                start--;
        *ret_parent = start > 0 ? strndup(path, start) : strdup(".");
        *ret_name = strndup(path + start, n - start);
        return *ret_parent && *ret_name ? 0 : -ENOMEM;
}

/* Early, since an export takes its time. */
static int check_empty(const Layout *l, const char *path, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(l->parent_fd, l->name);
        if (!dir && errno == ENOENT)
                return 0;
        if (!dir)
                return error_setf(e, CTR_FAILED_PRECONDITION, "%s is there, and no directory: %m",
                                  path);
        while ((errno = 0, de = readdir(dir)))
                if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        return error_setf(e, CTR_FAILED_PRECONDITION, "%s is there, and not empty",
                                          path);
        return errno != 0 ? error_setf(e, -errno, "Failed to read %s: %m", path) : 0;
}

static int layout_open(Layout *l, const char *path, Error *e) {
        _cleanup_free_ char *parent = NULL;
        int r;

        if (split_path(path, &parent, &l->name) < 0 ||
            asprintf(&l->temporary, ".#%s.%u", l->name, (unsigned) getpid()) < 0)
                return error_setf(e, -ENOMEM, "Out of memory");
        l->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = l->parent_fd < 0 ? error_setf(e, -errno, "Failed to open %s: %m", parent)
                             : check_empty(l, path, e);
        if (r == 0 && mkdirat(l->parent_fd, l->temporary, 0777) < 0)
                r = error_setf(e, -errno, "Failed to make %s: %m", path);
        if (r != 0) {
                free(TAKE_PTR(l->temporary));
                return r;
        }
        l->fd = openat(l->parent_fd, l->temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return l->fd < 0 ? error_setf(e, -errno, "Failed to open %s: %m", path) : 0;
}

static int layout_finish(Layout *l, const char *path, Error *e) {
        if (renameat(l->parent_fd, l->temporary, l->parent_fd, l->name) < 0)
                return error_setf(e, -errno, "Failed to make %s: %m", path);
        free(TAKE_PTR(l->temporary));
        return 0;
}

int layout_save(Client *c, const Call *call, Arguments *arguments, const char *path, Error *e) {
        _cleanup_(layout_clear) Layout l = {.parent_fd = -1, .fd = -1};
        _cleanup_error_ Error job = ERROR_NULL, local = ERROR_NULL;
        CopyChild child;
        int fd, r, k;

        r = layout_open(&l, path, e);
        if (r == 0)
                r = copy_child_start(&(CopyWork){.dir_fd = l.fd,
                                                 .as = "",
                                                 .flags = TAR_NAMES_AS_THEY_ARE},
                                     &child, &fd, e);
        if (r != 0)
                return r;
        arguments->fd = &fd;
        r = job_run(c, call, "export", NULL, &job);
        fd_close(fd);
        k = copy_child_wait(&child, &local);
        /* of two that failed, the one that saw the stream break off is not the cause */
        if (k != 0 && (r == 0 || (k != CTR_DATA_LOSS && r != CTR_CANCELED)))
                return error_propagate(e, k, &local);
        return r != 0 ? error_propagate(e, r, &job) : layout_finish(&l, path, e);
}
