/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "basic/tar-library.h"
#include "ctl/tar.h"

#define DEPTH_MAX  1024U
#define PIECE_SIZE (128U * 1024)

/* A file with several names: the first name has the data. */
typedef struct Linked {
        dev_t dev;
        ino_t ino;
        char name[];
} Linked;

typedef struct Pack {
        struct archive *archive;
        TarFlags flags;
        Error *error;
        unsigned depth;
        size_t n;            /* of name */
        char name[PATH_MAX]; /* of the present entry, in the archive */
        void *linked;
        char piece[PIECE_SIZE];
} Pack;

static int compare_linked(const void *a, const void *b) {
        const Linked *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

/* libarchive's errno may be EPIPE, which the caller knows what to make of. */
static int failed(Pack *p) {
        int code = tar_library.archive_errno(p->archive);

        return error_setf(p->error, code > 0 ? -code : -EIO, "Failed to archive %s: %s", p->name,
                          strempty(tar_library.archive_error_string(p->archive)));
}

/* *ret stays NULL for a file that is seen the first time. */
static int find_link(Pack *p, const struct stat *st, const char **ret) {
        size_t n = strlen(p->name) + 1;
        _cleanup_free_ Linked *l = malloc(sizeof(Linked) + n);
        Linked **found;

        if (!l)
                return -ENOMEM;
        l->dev = st->st_dev;
        l->ino = st->st_ino;
        memcpy(l->name, p->name, n);
        found = tsearch(l, &p->linked, compare_linked);
        if (!found)
                return -ENOMEM;
        if (*found != l)
                *ret = (*found)->name;
        else
                TAKE_PTR(l);
        return 0;
}

static int write_data(Pack *p, int fd, uint64_t size) {
        /* one that grows meanwhile is copied as far as its header says */
        while (size > 0) {
                ssize_t n = read(fd, p->piece, MIN_OF(size, (uint64_t) PIECE_SIZE));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_setf(p->error, -errno, "Failed to read %s: %m", p->name);
                if (n == 0)
                        return error_setf(p->error, CTR_CONFLICT,
                                          "%s has become shorter while it was read", p->name);
                if (tar_library.archive_write_data(p->archive, p->piece, (size_t) n) < 0)
                        return failed(p);
                size -= (uint64_t) n;
        }
        return 0;
}

static int write_header(Pack *p, const struct stat *st, const char *link_target,
                        const char *hard_link) {
        struct archive_entry *entry = tar_library.archive_entry_new();
        int r;

        if (!entry)
                return -ENOMEM;
        tar_library.archive_entry_copy_stat(entry, st);
        tar_library.archive_entry_set_pathname(entry, p->name);
        if (!(p->flags & TAR_OWNERS)) {
                tar_library.archive_entry_set_uid(entry, 0);
                tar_library.archive_entry_set_gid(entry, 0);
        }
        if (link_target)
                tar_library.archive_entry_set_symlink(entry, link_target);
        if (hard_link)
                tar_library.archive_entry_set_hardlink(entry, hard_link);
        if (hard_link || !S_ISREG(st->st_mode))
                tar_library.archive_entry_set_size(entry, 0);
        /* a warning is about a name that is no UTF-8, which is written as it is */
        r = tar_library.archive_write_header(p->archive, entry) < ARCHIVE_WARN ? failed(p) : 0;
        tar_library.archive_entry_free(entry);
        return r;
}

static int pack_file(Pack *p, int fd, const struct stat *st) {
        const char *first = NULL;
        int r = 0;

        if (st->st_nlink > 1)
                r = find_link(p, st, &first);
        if (r == 0)
                r = write_header(p, st, NULL, first);
        if (r == 0 && !first)
                r = write_data(p, fd, (uint64_t) st->st_size);
        return r;
}

static int pack_link(Pack *p, int path_fd, const struct stat *st) {
        char target[PATH_MAX];
        ssize_t n;

        n = readlinkat(path_fd, "", target, sizeof(target) - 1);
        if (n < 0)
                return error_setf(p->error, -errno, "Failed to read the link %s: %m", p->name);
        target[n] = '\0';
        return write_header(p, st, target, NULL);
}

static int pack_entry(Pack *p, int dir_fd, const char *name, int flags);

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int list_directory(int fd, char ***ret) {
        _cleanup_closedir_ DIR *d = dir_stream_open_at(fd, ".");
        _cleanup_strv_free_ char **names = NULL;
        size_t n = 0;

        if (!d)
                return -errno;
        for (;;) {
                const struct dirent *de;
                char **larger;

                errno = 0;
                de = readdir(d);
                if (!de)
                        break;
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                if ((n & (n + 1)) == 0) { /* room for twice as many */
                        larger = reallocarray(names, 2 * n + 2, sizeof(char *));
                        if (!larger)
                                return -ENOMEM;
                        names = larger;
                }
                names[n] = strdup(de->d_name);
                if (!names[n])
                        return -ENOMEM;
                names[++n] = NULL;
        }
        if (errno != 0)
                return -errno;
        qsort(names, n, sizeof(char *), compare_names);
        *ret = TAKE_PTR(names);
        return 0;
}

static int pack_children(Pack *p, int fd) {
        _cleanup_strv_free_ char **names = NULL;
        size_t n = p->n;
        int r;

        if (p->depth >= DEPTH_MAX)
                return error_setf(p->error, CTR_RESOURCE_EXHAUSTED, "%s is too deep", p->name);
        r = list_directory(fd, &names);
        if (r < 0)
                return error_setf(p->error, r, "Failed to list %s: %m", p->name);
        p->depth++;
        STRV_FOREACH(name, names) {
                size_t length = strlen(*name), slash = n > 0 ? 1 : 0;

                if (n + slash + length >= sizeof(p->name))
                        return error_setf(p->error, -ENAMETOOLONG, "%s/%s is too long", p->name,
                                          *name);
                if (slash)
                        p->name[n] = '/';
                memcpy(p->name + n + slash, *name, length + 1);
                p->n = n + slash + length;
                r = pack_entry(p, fd, *name, O_NOFOLLOW);
                p->n = n;
                p->name[n] = '\0';
                if (r != 0)
                        return r;
        }
        p->depth--;
        return 0;
}

static int pack_directory(Pack *p, int path_fd, const struct stat *st) {
        _cleanup_close_ int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = 0;

        if (fd < 0)
                return error_setf(p->error, -errno, "Failed to open %s: %m", p->name);
        if (p->n > 0)
                r = write_header(p, st, NULL, NULL);
        return r == 0 ? pack_children(p, fd) : r;
}

/* Opened once more by what was looked at: it cannot become something else in between. */
static int pack_regular(Pack *p, int path_fd, const struct stat *st) {
        _cleanup_close_ int fd = -1;
        char path[32];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", path_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(p->error, -errno, "Failed to open %s: %m", p->name);
        return pack_file(p, fd, st);
}

static int pack_entry(Pack *p, int dir_fd, const char *name, int flags) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_CLOEXEC | flags);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(p->error, -errno, "Failed to open %s: %m",
                                  p->depth == 0 ? name : p->name);
        switch (st.st_mode & S_IFMT) {
        case S_IFDIR:
                return pack_directory(p, fd, &st);
        case S_IFREG:
                return pack_regular(p, fd, &st);
        case S_IFLNK:
                return pack_link(p, fd, &st);
        case S_IFSOCK: /* nobody listens in an archive */
                return 0;
        default:
                return write_header(p, &st, NULL, NULL);
        }
}

static int pack_open(Pack *p, int fd) {

        p->archive = tar_library.archive_write_new();
        if (!p->archive)
                return -ENOMEM;
        if (tar_library.archive_write_set_format_pax_restricted(p->archive) != ARCHIVE_OK ||
            tar_library.archive_write_set_bytes_in_last_block(p->archive, 1) != ARCHIVE_OK ||
            tar_library.archive_write_open_fd(p->archive, fd) != ARCHIVE_OK)
                return failed(p);
        return 0;
}

int tar_pack(int fd, const char *path, const char *as, TarFlags flags, Error *e) {
        _cleanup_free_ Pack *p = calloc(1, sizeof(Pack));
        int r;

        assert(fd >= 0 && path && as);

        if (!p)
                return error_setf(e, -ENOMEM, "Out of memory");
        p->flags = flags;
        p->error = e;
        p->n = strlen(as);
        if (p->n >= sizeof(p->name))
                return error_setf(e, -ENAMETOOLONG, "%s is too long", as);
        memcpy(p->name, as, p->n + 1);
        r = tar_library_load(e);
        if (r != 0)
                return r;
        r = pack_open(p, fd);
        if (r == 0)
                r = pack_entry(p, AT_FDCWD, path, flags & TAR_FOLLOW ? 0 : O_NOFOLLOW);
        if (r == 0 && tar_library.archive_write_close(p->archive) != ARCHIVE_OK)
                r = failed(p);
        if (p->archive) {
                if (r != 0) /* what is not complete must not look so */
                        (void) tar_library.archive_write_fail(p->archive);
                (void) tar_library.archive_write_free(p->archive);
        }
        tdestroy(p->linked, free);
        return r == -ENOMEM ? error_setf(e, r, "Out of memory") : r;
}
