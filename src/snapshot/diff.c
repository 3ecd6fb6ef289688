/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/diff.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "snapshot/apply.h"
#include "snapshot/diff-internal.h"
#include "snapshot/marks.h"
#include "snapshot/walk.h"

int diff_check_canceled(const Diff *d, Error *e) {
        if (d->options->canceled && atomic_load(d->options->canceled))
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        return 0;
}

/* What was written is counted here, however it came about. */
static int on_data(void *userdata, const void *data, size_t size, Error *e) {
        Diff *d = userdata;

        if (size > d->bytes_left)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "With \"%s\" the archive is larger than it may be", d->path);
        d->bytes_left -= size;
        return d->sink(d->userdata, data, size, e);
}

int diff_count_entry(Diff *d, Error *e) {
        if (d->entries_left == 0)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The archive would have more entries than it may");
        d->entries_left--;
        return diff_check_canceled(d, e);
}

/* Appends a name to the path. *ret_length is what to cut it back to. */
static int push_name(Diff *d, const char *prefix, const char *name, size_t *ret_length, Error *e) {
        size_t length = strlen(d->path);
        int n;

        n = snprintf(d->path + length, sizeof(d->path) - length, "%s%s%s", length > 0 ? "/" : "",
                     prefix, name);
        if ((size_t) n >= sizeof(d->path) - length) {
                d->path[length] = '\0';
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "A path is too long below \"%.256s\"",
                                  d->path);
        }
        *ret_length = length;
        return 0;
}

int diff_write_mark(Diff *d, const char *prefix, const char *name, const struct stat *st,
                    Error *e) {
        struct stat mark = {.st_mode = S_IFREG, .st_mtim = {.tv_sec = st->st_mtim.tv_sec}};
        size_t length;
        int r;

        r = push_name(d, prefix, name, &length, e);
        if (r != 0)
                return r;
        r = diff_count_entry(d, e);
        if (r == 0)
                r = tar_stream_entry(d->tar, &(TarEntry){.path = d->path, .st = &mark}, e);
        d->path[length] = '\0';
        return r;
}

int diff_check_name(const Diff *d, const char *name, Error *e) {
        if (!startswith(name, DIFF_WHITEOUT))
                return 0;
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          "\"%s/%s\" cannot be in a layer: names that begin with " DIFF_WHITEOUT
                          " say that something was removed",
                          d->path, name);
}

/* A mount whose files the kernel makes up when they are read: sizes that are none, links that only
 * some may read. */
static bool is_made_up(int fd, const struct stat *st, const struct stat *parent) {
        struct statfs sfs;

        if (st->st_dev == parent->st_dev || fstatfs(fd, &sfs) < 0)
                return false;
        switch ((unsigned long) sfs.f_type) {
        case PROC_SUPER_MAGIC:
        case SYSFS_MAGIC:
        case CGROUP_SUPER_MAGIC:
        case CGROUP2_SUPER_MAGIC:
                return true;
        default:
                return false;
        }
}

static int walk(Diff *d, int dir_fd, const struct stat *st, unsigned depth, Error *e);

/* 0 as well if it is gone by now. */
static int visit(Diff *d, int dir_fd, const struct stat *parent, const char *name, unsigned depth,
                 Error *e) {
        _cleanup_close_ int path_fd = -1, fd = -1;
        struct stat st;
        int r;

        r = walk_open(dir_fd, name, d->path, &path_fd, &st, e);
        if (r == -ENOENT || (r == 0 && S_ISSOCK(st.st_mode)))
                return 0;
        /* the marks were written before */
        if (r != 0 || ((d->options->flags & DIFF_OVERLAY) && mark_is_whiteout(&st)))
                return r;
        r = diff_count_entry(d, e);
        if (r == 0)
                r = diff_write_file(d, path_fd, &st, e);
        if (r != 0 || !S_ISDIR(st.st_mode) || is_made_up(path_fd, &st, parent))
                return r;
        fd = walk_reopen(path_fd, true);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open \"%s\": %m", d->path);
        path_fd = fd_close(path_fd);
        return walk(d, fd, &st, depth + 1, e);
}

/* layer.md: marks come before what they do not concern. */
static int write_marks(Diff *d, int dir_fd, const struct stat *dir_st, const WalkNames *names,
                       Error *e) {
        int r = 0;

        if (mark_is_opaque(dir_fd))
                r = diff_write_mark(d, "", DIFF_OPAQUE, dir_st, e);
        for (size_t i = 0; r == 0 && i < names->n; i++) {
                struct stat st;

                if (fstatat(dir_fd, names->names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
                        r = errno == ENOENT ? 0
                                            : error_setf(e, -errno,
                                                         "Failed to look at \"%s/%s\": %m", d->path,
                                                         names->names[i]);
                else if (mark_is_whiteout(&st))
                        r = diff_write_mark(d, DIFF_WHITEOUT, names->names[i], &st, e);
                else
                        r = diff_check_name(d, names->names[i], e);
        }
        return r;
}

static int walk(Diff *d, int dir_fd, const struct stat *st, unsigned depth, Error *e) {
        _cleanup_(walk_names_clear) WalkNames names = {};
        int r;

        if (depth > WALK_DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "A directory is more than %u levels deep", WALK_DEPTH_MAX);
        r = walk_names(dir_fd, d->path, d->entries_left, &names, e);
        if (r == 0 && (d->options->flags & DIFF_OVERLAY))
                r = write_marks(d, dir_fd, st, &names, e);
        for (size_t i = 0; r == 0 && i < names.n; i++) {
                size_t length = 0;

                r = push_name(d, "", names.names[i], &length, e);
                if (r != 0)
                        break;
                r = visit(d, dir_fd, st, names.names[i], depth, e);
                d->path[length] = '\0';
        }
        return r;
}

static int write_tree(Diff *d, int fd, const struct stat *st, Error *e) {
        _cleanup_close_ int dir_fd = -1;

        if (!S_ISDIR(st->st_mode))
                return 0;
        dir_fd = walk_reopen(fd, true);
        if (dir_fd < 0)
                return error_setf(e, dir_fd, "Failed to open \"%s\": %m", d->path);
        return walk(d, dir_fd, st, 0, e);
}

static int write_root(Diff *d, int fd, DiffFunction write, Error *e) {
        const char *name = d->options->name;
        struct stat st;
        int r = 0;

        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to look at a tree: %m");
        if (name && !streq(name, "."))
                (void) snprintf(d->path, sizeof(d->path), "%s", name);
        if (S_ISSOCK(st.st_mode) || (!name && !S_ISDIR(st.st_mode)))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" cannot be archived", d->path);
        if (name) {
                r = diff_count_entry(d, e);
                if (r == 0)
                        r = diff_write_file(d, fd, &st, e);
        }
        return r == 0 ? write(d, fd, &st, e) : r;
}

int diff_run(int fd, int lower_fd, const DiffOptions *options, TarSink sink, void *userdata,
             DiffFunction write, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        Diff d = {
                        .options = options,
                        .sink = sink,
                        .userdata = userdata,
                        .lower_fd = lower_fd,
                        .entries_left = options->entries ?: apply_limits_default.entries,
                        .bytes_left = options->bytes ?: apply_limits_default.bytes,
        };
        int r;

        e = e ?: &local;
        d.piece = malloc(DIFF_PIECE_SIZE);
        d.attributes = malloc((size_t) 2 * DIFF_XATTR_MAX);
        r = d.piece && d.attributes ? tar_stream_new(on_data, &d, &d.tar) : -ENOMEM;
        if (r == 0)
                r = write_root(&d, fd, write, e);
        if (r == 0)
                r = tar_stream_finish(d.tar, e);
        tar_stream_free(d.tar);
        diff_linked_free(&d);
        free(d.piece);
        free(d.attributes);
        return r;
}

int layer_diff(int fd, const DiffOptions *options, TarSink sink, void *userdata, Error *e) {
        assert(fd >= 0 && options && sink);

        return diff_run(fd, -1, options, sink, userdata, write_tree, e);
}
