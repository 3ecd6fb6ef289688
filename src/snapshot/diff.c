/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/diff.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "basic/fs.h"

#define PIECE_SIZE    (128U * 1024)
#define XATTR_MAX     (64U * 1024)
#define OVERLAY_XATTR "trusted.overlay."
#define OPAQUE_XATTR  OVERLAY_XATTR "opaque"
#define WHITEOUT      ".wh."
#define OPAQUE        ".wh..wh..opq"

/* A file with several names, by what stat() tells: the first name has the data. */
typedef struct Linked {
        dev_t dev;
        ino_t ino;
        char path[];
} Linked;

typedef struct Diff {
        struct archive *archive;
        DiffFlags flags;
        DiffSink sink;
        void *userdata;
        Error *error;
        int result; /* of the sink */
        void *linked;
        char path[PATH_MAX]; /* of the present entry, relative to the root; "" is the root */
        char *piece;
} Diff;

static int compare_linked(const void *a, const void *b) {
        const Linked *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static la_ssize_t on_write(struct archive *a, void *userdata, const void *data, size_t size) {
        Diff *d = userdata;

        if (d->result == 0)
                d->result = d->sink(d->userdata, data, size, d->error);
        return d->result == 0 ? (la_ssize_t) size : -1;
}

static int failed(Diff *d, const char *what) {
        if (d->result != 0)
                return d->result;
        return error_setf(d->error, -EIO, "Failed to %s %s: %s", what, d->path,
                          archive_error_string(d->archive));
}

static int write_header(Diff *d, struct archive_entry *entry) {
        /* a warning is about a name that is no UTF-8, which is written as it is */
        return archive_write_header(d->archive, entry) < ARCHIVE_WARN ? failed(d, "archive") : 0;
}

/* An entry that is only a name: a mark that something is not there. */
static int write_mark(Diff *d, const char *path, const struct stat *st) {
        struct archive_entry *entry = archive_entry_new();
        int r;

        if (!entry)
                return -ENOMEM;
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0);
        archive_entry_set_size(entry, 0);
        archive_entry_set_mtime(entry, st->st_mtim.tv_sec, 0);
        r = write_header(d, entry);
        archive_entry_free(entry);
        return r;
}

/* The name of the present entry with ".wh." in front of its last part. */
static int write_whiteout(Diff *d, const struct stat *st) {
        const char *slash = strrchr(d->path, '/');
        int n = slash ? (int) (slash - d->path) + 1 : 0;
        char path[PATH_MAX + sizeof(WHITEOUT)];

        (void) snprintf(path, sizeof(path), "%.*s%s%s", n, d->path, WHITEOUT, d->path + n);
        return write_mark(d, path, st);
}

static bool is_whiteout(const Diff *d, const struct stat *st) {
        return (d->flags & DIFF_OVERLAY) && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int add_xattrs(Diff *d, const char *proc_path, struct archive_entry *entry) {
        _cleanup_free_ char *names = malloc(XATTR_MAX), *value = malloc(XATTR_MAX);
        ssize_t n;

        if (!names || !value)
                return -ENOMEM;
        n = listxattr(proc_path, names, XATTR_MAX);
        if (n < 0)
                return errno == EOPNOTSUPP ? 0
                                           : error_setf(d->error, -errno,
                                                        "Failed to list the attributes of %s: "
                                                        "%m",
                                                        d->path);
        for (const char *name = names; name < names + n; name += strlen(name) + 1) {
                ssize_t size;

                /* the first are overlayfs's own, the others the security modules' of this machine
                 */
                if (startswith(name, OVERLAY_XATTR) ||
                    (startswith(name, "security.") && !streq(name, "security.capability")))
                        continue;
                size = getxattr(proc_path, name, value, XATTR_MAX);
                if (size < 0)
                        return error_setf(d->error, -errno, "Failed to read %s of %s: %m", name,
                                          d->path);
                archive_entry_xattr_add_entry(entry, name, value, (size_t) size);
        }
        return 0;
}

static int write_data(Diff *d, int dir_fd, const char *name) {
        _cleanup_close_ int fd = -1;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return error_setf(d->error, -errno, "Failed to open %s: %m", d->path);
        for (;;) {
                ssize_t n = read(fd, d->piece, PIECE_SIZE);

                if (n < 0)
                        return error_setf(d->error, -errno, "Failed to read %s: %m", d->path);
                if (n == 0)
                        return 0;
                if (archive_write_data(d->archive, d->piece, (size_t) n) < 0)
                        return failed(d, "archive");
        }
}

/* 1 if the file was archived under another name before, which *ret is then. */
static int find_link(Diff *d, const struct stat *st, const char **ret) {
        _cleanup_free_ Linked *l = NULL;
        size_t n = strlen(d->path) + 1;
        Linked **found;

        l = malloc(sizeof(*l) + n);
        if (!l)
                return -ENOMEM;
        l->dev = st->st_dev;
        l->ino = st->st_ino;
        memcpy(l->path, d->path, n);
        found = tsearch(l, &d->linked, compare_linked);
        if (!found)
                return -ENOMEM;
        *ret = (*found)->path;
        if (*found != l)
                return 1;
        TAKE_PTR(l);
        return 0;
}

static int fill_entry(Diff *d, int dir_fd, const char *name, int path_fd, const struct stat *st,
                      struct archive_entry *entry) {
        char proc_path[64], target[PATH_MAX];
        ssize_t n;

        archive_entry_copy_stat(entry, st);
        archive_entry_set_pathname(entry, d->path[0] ? d->path : ".");
        if (!S_ISREG(st->st_mode))
                archive_entry_set_size(entry, 0);
        if (S_ISLNK(st->st_mode)) {
                n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
                if (n < 0)
                        return error_setf(d->error, -errno, "Failed to read the link %s: %m",
                                          d->path);
                target[n] = '\0';
                archive_entry_set_symlink(entry, target);
                return 0;
        }
        (void) snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%i", path_fd);
        return add_xattrs(d, proc_path, entry);
}

static int write_entry(Diff *d, int dir_fd, const char *name, int path_fd, const struct stat *st) {
        struct archive_entry *entry = archive_entry_new();
        const char *first = NULL;
        int r;

        if (!entry)
                return -ENOMEM;
        r = fill_entry(d, dir_fd, name, path_fd, st, entry);
        if (r == 0 && st->st_nlink > 1 && !S_ISDIR(st->st_mode))
                r = find_link(d, st, &first);
        if (r == 1) {
                archive_entry_set_hardlink(entry, first);
                archive_entry_set_size(entry, 0);
        }
        if (r >= 0) {
                bool data = r == 0 && S_ISREG(st->st_mode);

                r = write_header(d, entry);
                if (r == 0 && data)
                        r = write_data(d, dir_fd, name);
        }
        archive_entry_free(entry);
        return r;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static void names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

static int read_names(Diff *d, int fd, char ***ret, size_t *ret_n) {
        _cleanup_closedir_ DIR *dir = dir_stream_open_at(fd, ".");
        char **names = NULL;
        struct dirent *de;
        size_t n = 0;

        if (!dir)
                return error_setf(d->error, -errno, "Failed to open %s: %m", d->path);
        while ((errno = 0, de = readdir(dir))) {
                char **larger;

                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                larger = reallocarray(names, n + 1, sizeof(*names));
                if (larger)
                        names = larger;
                if (!larger || !(names[n] = strdup(de->d_name))) {
                        names_free(names, n);
                        return -ENOMEM;
                }
                n++;
        }
        if (errno != 0) {
                names_free(names, n);
                return error_setf(d->error, -errno, "Failed to read %s: %m", d->path);
        }
        if (n > 0)
                qsort(names, n, sizeof(*names), compare_names);
        *ret = names;
        *ret_n = n;
        return 0;
}

static int walk(Diff *d, int dir_fd, unsigned depth);

static int write_directory(Diff *d, int dir_fd, const char *name, const struct stat *st,
                           unsigned depth) {
        _cleanup_close_ int fd = -1;
        char value[2], mark[PATH_MAX + sizeof(OPAQUE)], proc_path[64];
        int r;

        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(d->error, -errno, "Failed to open %s: %m", d->path);
        (void) snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%i", fd);
        if ((d->flags & DIFF_OVERLAY) &&
            getxattr(proc_path, OPAQUE_XATTR, value, sizeof(value)) == 1 && value[0] == 'y') {
                (void) snprintf(mark, sizeof(mark), "%s/%s", d->path, OPAQUE);
                r = write_mark(d, mark, st);
                if (r != 0)
                        return r;
        }
        return walk(d, fd, depth + 1);
}

static int visit(Diff *d, int dir_fd, const char *name, unsigned depth) {
        _cleanup_close_ int path_fd = -1;
        struct stat st;
        int r;

        path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (path_fd < 0 || fstat(path_fd, &st) < 0)
                return error_setf(d->error, -errno, "Failed to look at %s: %m", d->path);
        if (is_whiteout(d, &st))
                return write_whiteout(d, &st);
        if (S_ISSOCK(st.st_mode))
                return 0;
        r = write_entry(d, dir_fd, name, path_fd, &st);
        if (r != 0 || !S_ISDIR(st.st_mode))
                return r;
        return write_directory(d, dir_fd, name, &st, depth);
}

static int walk(Diff *d, int dir_fd, unsigned depth) {
        size_t length = strlen(d->path), n = 0;
        char **names = NULL;
        int r;

        if (depth > DIFF_DEPTH_MAX)
                return error_setf(d->error, CTR_RESOURCE_EXHAUSTED,
                                  "A directory is more than %u levels deep", DIFF_DEPTH_MAX);
        r = read_names(d, dir_fd, &names, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                int k = snprintf(d->path + length, sizeof(d->path) - length, "%s%s",
                                 length > 0 ? "/" : "", names[i]);

                if ((size_t) k >= sizeof(d->path) - length)
                        r = error_setf(d->error, -ENAMETOOLONG, "A path is too long below %.*s",
                                       (int) MIN_OF(length, (size_t) 512), d->path);
                else
                        r = visit(d, dir_fd, names[i], depth);
                d->path[length] = '\0';
        }
        names_free(names, n);
        return r;
}

int layer_diff(int dir_fd, DiffFlags flags, DiffSink sink, void *userdata, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        Diff d = {.flags = flags, .sink = sink, .userdata = userdata, .error = e ?: &local};
        int r = -ENOMEM;

        d.archive = archive_write_new();
        d.piece = malloc(PIECE_SIZE);
        if (d.archive && d.piece &&
            archive_write_set_format_pax_restricted(d.archive) == ARCHIVE_OK &&
            archive_write_set_bytes_in_last_block(d.archive, 1) == ARCHIVE_OK &&
            archive_write_open(d.archive, &d, NULL, on_write, NULL) == ARCHIVE_OK) {
                r = walk(&d, dir_fd, 0);
                if (r == 0 && archive_write_close(d.archive) != ARCHIVE_OK)
                        r = failed(&d, "finish");
        }
        archive_write_free(d.archive);
        free(d.piece);
        tdestroy(d.linked, free);
        return r;
}
