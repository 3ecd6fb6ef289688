/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A layer of what one whole tree changes of another one. See snapshot/diff.h. */

#include "snapshot/compare.h"
#include "snapshot/diff-internal.h"

/* Makes the path that of the directory which a name is in, and returns the name. */
static const char *enter_parent(Diff *d, const char *path) {
        const char *slash = strrchr(path, '/');

        (void) snprintf(d->path, sizeof(d->path), "%.*s", slash ? (int) (slash - path) : 0, path);
        return slash ? slash + 1 : path;
}

static int on_difference(void *userdata, const Difference *x, Error *e) {
        Diff *d = userdata;
        const char *name = enter_parent(d, x->path);
        bool is_socket = S_ISSOCK(x->st->st_mode);
        int r;

        /* a socket is left out, and what was there before is gone */
        if (x->kind == CHANGE_DELETED || (is_socket && x->kind == CHANGE_MODIFIED))
                return diff_write_mark(d, DIFF_WHITEOUT, name, x->st, e);
        if (is_socket)
                return 0;
        r = diff_check_name(d, name, e);
        if (r == 0)
                r = diff_count_entry(d, e);
        if (r != 0)
                return r;
        (void) snprintf(d->path, sizeof(d->path), "%s", x->path);
        return diff_write_file(d, x->fd, x->st, e);
}

static int write_differences(Diff *d, int fd, const struct stat *st, Error *e) {
        return trees_compare(fd, d->lower_fd, COMPARE_DELETED_FIRST, d->options->canceled,
                             on_difference, d, e);
}

int layer_diff_trees(int fd, int lower_fd, const DiffOptions *options, TarSink sink, void *userdata,
                     Error *e) {
        assert(fd >= 0 && options && sink);

        return diff_run(fd, lower_fd, options, sink, userdata, write_differences, e);
}
