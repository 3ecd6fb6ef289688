/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One file as an entry: its attributes, its holes, its data. See snapshot/diff.h. */

#include <fcntl.h>
#include <search.h>
#include <sys/xattr.h>

#include "snapshot/diff-internal.h"
#include "snapshot/marks.h"
#include "snapshot/walk.h"

#define OVERLAY_XATTR "trusted.overlay."
/* Shorter runs of zeros, and smaller files, are no holes: the map would cost as much. */
#define HOLE_MIN   (64U * 1024)
#define SPARSE_MIN (256U * 1024)
#define HOLE_BLOCK 4096U

/* A file with several names, by what stat() tells: the first name has the data. */
typedef struct Linked {
        dev_t dev;
        ino_t ino;
        char path[];
} Linked;

static int compare_linked(const void *a, const void *b) {
        const Linked *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

void diff_linked_free(Diff *d) {
        tdestroy(d->linked, free);
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

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* overlayfs found the file, or its data, elsewhere: with options that we do not mount with. */
static bool is_redirection(const char *name) {
        return streq(name, OVERLAY_XATTR "redirect") || streq(name, OVERLAY_XATTR "metacopy");
}

static int add_xattr(Diff *d, const char *proc, const char *name, Error *e) {
        char *value = d->attributes + DIFF_XATTR_MAX;
        ssize_t size;
        int r;

        if ((d->options->flags & DIFF_OVERLAY) && is_redirection(name))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "\"%s\" was renamed by an overlay with redirect_dir or metacopy, "
                                  "and is not in the upper directory",
                                  d->path);
        if (mark_is_no_attribute(name))
                return 0;
        size = getxattr(proc, name, value, DIFF_XATTR_MAX);
        if (size < 0)
                return errno == ENODATA ? 0
                                        : error_setf(e, -errno,
                                                     "Failed to read the attribute %.64s of "
                                                     "\"%s\": %m",
                                                     name, d->path);
        r = tar_stream_xattr(d->tar, name, value, (size_t) size, e);
        return r > 0 ? error_prefix(e, r, "\"%s\"", d->path) : r;
}

static int add_xattrs(Diff *d, int path_fd, Error *e) {
        _cleanup_free_ const char **sorted = NULL;
        char proc[STRLEN("/proc/self/fd/") + 12];
        ssize_t n;
        size_t k = 0;
        int r = 0;

        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", path_fd);
        n = listxattr(proc, d->attributes, DIFF_XATTR_MAX);
        if (n == 0 || (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)))
                return 0;
        if (n < 0)
                return error_setf(e, -errno, "Failed to list the attributes of \"%s\": %m",
                                  d->path);
        sorted = calloc((size_t) n, sizeof(char *));
        if (!sorted)
                return -ENOMEM;
        for (const char *p = d->attributes; p < d->attributes + n; p += strlen(p) + 1)
                sorted[k++] = p;
        qsort(sorted, k, sizeof(char *), compare_strings);
        for (size_t i = 0; r == 0 && i < k; i++)
                r = add_xattr(d, proc, sorted[i], e);
        return r;
}

/* Reads up to size bytes, fewer only at the end of the file. */
static int read_piece(const Diff *d, int fd, size_t size, uint64_t offset, size_t *ret, Error *e) {
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(fd, d->piece + done, size - done, (off_t) (offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to read \"%s\": %m", d->path);
                if (n == 0)
                        break;
                done += (size_t) n;
        }
        *ret = done;
        return 0;
}

static int became_shorter(const Diff *d, Error *e) {
        return error_setf(e, CTR_CONFLICT, "\"%s\" became shorter while it was read", d->path);
}

static bool is_zero(const char *p, size_t n) {
        return p[0] == 0 && (n == 1 || memcmp(p, p + 1, n - 1) == 0);
}

typedef struct Map {
        TarExtent *extents;
        size_t n;
        uint64_t zeros; /* since the last block with data */
        uint64_t holes; /* bytes in all */
} Map;

/* One block of data at offset: it belongs to the last extent unless a hole lies between. False if
 * there are too many extents. */
static bool map_add(Map *m, uint64_t offset, uint64_t size) {
        TarExtent *last = m->n > 0 ? m->extents + m->n - 1 : NULL;

        if (m->zeros >= HOLE_MIN || !last) {
                if (m->n == TAR_EXTENTS_MAX)
                        return false;
                if (m->zeros >= HOLE_MIN)
                        m->holes += m->zeros;
                else
                        offset -= m->zeros, size += m->zeros;
                m->extents[m->n++] = (TarExtent){.offset = offset, .size = size};
        } else
                last->size = offset + size - last->offset;
        m->zeros = 0;
        return true;
}

/* Skips blocks that the file system knows to be a hole; they read as zeros, so that this changes
 * nothing but the time it takes. */
static uint64_t skip_hole(int fd, uint64_t offset, uint64_t size) {
        off_t data = lseek(fd, (off_t) offset, SEEK_DATA);

        if (data < 0)
                return errno == ENXIO ? size : offset;
        return MIN_OF((uint64_t) data / HOLE_BLOCK * HOLE_BLOCK, size);
}

/* Where the file has data. *ret stays NULL for one without holes. */
static int find_extents(const Diff *d, int fd, uint64_t size, TarExtent **ret, size_t *ret_n,
                        Error *e) {
        _cleanup_free_ TarExtent *extents = NULL;
        Map m = {};

        if (size < SPARSE_MIN)
                return 0;
        m.extents = extents = calloc(TAR_EXTENTS_MAX, sizeof(TarExtent));
        if (!extents)
                return -ENOMEM;
        for (uint64_t offset = 0; offset < size;) {
                uint64_t next = MAX_OF(skip_hole(fd, offset, size), offset);
                size_t n = 0;
                int r;

                m.zeros += next - offset;
                offset = next;
                r = read_piece(d, fd, (size_t) MIN_OF((uint64_t) DIFF_PIECE_SIZE, size - offset),
                               offset, &n, e);
                if (r == 0)
                        r = diff_check_canceled(d, e);
                if (r == 0 && n == 0 && offset < size)
                        r = became_shorter(d, e);
                if (r != 0)
                        return r;
                for (size_t i = 0; i < n; i += HOLE_BLOCK) {
                        size_t k = MIN_OF((size_t) HOLE_BLOCK, n - i);

                        if (is_zero(d->piece + i, k))
                                m.zeros += k;
                        else if (!map_add(&m, offset + i, k))
                                return 0;
                }
                offset += n;
        }
        /* a short rest of zeros is data like the others */
        if (m.zeros > 0 && m.zeros < HOLE_MIN)
                (void) map_add(&m, size, 0);
        else
                m.holes += m.zeros;
        if (m.holes == 0)
                return 0;
        *ret = TAKE_PTR(extents);
        *ret_n = m.n;
        return 0;
}

static int write_extent(Diff *d, int fd, uint64_t offset, uint64_t size, Error *e) {
        while (size > 0) {
                size_t n = (size_t) MIN_OF((uint64_t) DIFF_PIECE_SIZE, size), done = 0;
                int r;

                r = diff_check_canceled(d, e);
                if (r == 0)
                        r = read_piece(d, fd, n, offset, &done, e);
                if (r == 0 && done < n)
                        r = became_shorter(d, e);
                if (r == 0)
                        r = tar_stream_data(d->tar, d->piece, done, e);
                if (r != 0)
                        return r;
                offset += done;
                size -= done;
        }
        return 0;
}

static int write_regular(Diff *d, int path_fd, TarEntry *entry, Error *e) {
        _cleanup_free_ TarExtent *extents = NULL;
        _cleanup_close_ int fd = -1;
        int r = 0;

        /* what has no size is not opened, as in /proc, where reading may do something */
        if (entry->size > 0) {
                fd = walk_reopen(path_fd, false);
                if (fd < 0)
                        return error_setf(e, fd, "Failed to open \"%s\": %m", d->path);
                r = find_extents(d, fd, entry->size, &extents, &entry->n_extents, e);
        }
        entry->extents = extents;
        if (r == 0)
                r = tar_stream_entry(d->tar, entry, e);
        if (r == 0 && !extents)
                r = write_extent(d, fd, 0, entry->size, e);
        for (size_t i = 0; r == 0 && extents && i < entry->n_extents; i++)
                r = write_extent(d, fd, extents[i].offset, extents[i].size, e);
        return r;
}

static int read_target(Diff *d, int path_fd, char target[static PATH_MAX], Error *e) {
        ssize_t n = readlinkat(path_fd, "", target, PATH_MAX);

        if (n < 0 || n >= PATH_MAX)
                return error_setf(e, n < 0 ? -errno : -ENAMETOOLONG,
                                  "Failed to read the link \"%s\": %m", d->path);
        target[n] = '\0';
        return 0;
}

int diff_write_file(Diff *d, int path_fd, const struct stat *st, Error *e) {
        TarEntry entry = {.path = d->path[0] ? d->path : ".", .st = st};
        char target[PATH_MAX];
        int r = 0;

        if (st->st_nlink > 1 && !S_ISDIR(st->st_mode)) {
                r = find_link(d, st, &entry.link);
                entry.hard = r == 1;
                if (r == 0)
                        entry.link = NULL;
        }
        if (r != 0)
                return r < 0 ? r : tar_stream_entry(d->tar, &entry, e);
        if (S_ISLNK(st->st_mode)) {
                r = read_target(d, path_fd, target, e);
                entry.link = target;
        } else
                r = add_xattrs(d, path_fd, e);
        if (r != 0)
                return r;
        if (!S_ISREG(st->st_mode))
                return tar_stream_entry(d->tar, &entry, e);
        entry.size = (uint64_t) st->st_size;
        return write_regular(d, path_fd, &entry, e);
}
