/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/same.h"

#include <limits.h>
#include <sys/xattr.h>

#include "snapshot/marks.h"
#include "snapshot/walk.h"

#define PIECE_SIZE (128U * 1024)
#define XATTRS_MAX (64U * 1024) /* of the names, and of a value */
#define PROC_SIZE  (STRLEN("/proc/self/fd/") + 12)

static void proc_path(int fd, char ret[static PROC_SIZE]) {
        (void) snprintf(ret, PROC_SIZE, "/proc/self/fd/%i", fd);
}

static int list_xattrs(const char *proc, char *names, size_t *ret, const char *path, Error *e) {
        ssize_t n = listxattr(proc, names, XATTRS_MAX);

        if (n < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
                return error_setf(e, -errno, "Failed to list the attributes of \"%s\": %m", path);
        *ret = n < 0 ? 0 : (size_t) n;
        return 0;
}

/* -1: it has none of that name. */
static int read_xattr(const char *proc, const char *name, char *value, ssize_t *ret,
                      const char *path, Error *e) {
        *ret = getxattr(proc, name, value, XATTRS_MAX);
        return *ret >= 0 || errno == ENODATA
                               ? 0
                               : error_setf(e, -errno,
                                            "Failed to read the attribute %.64s of \"%s\": %m",
                                            name, path);
}

static size_t count_wanted(const char *names, size_t size) {
        size_t n = 0;

        for (const char *p = names; p < names + size; p += strlen(p) + 1)
                n += mark_is_no_attribute(p) ? 0 : 1;
        return n;
}

/* As many on both sides, and each of one side with the same value on the other. */
static int compare_xattrs(int a, int b, char *buffer, const char *path, bool *ret, Error *e) {
        char *names = buffer, *value = buffer + XATTRS_MAX, *other = value + XATTRS_MAX;
        char proc_a[PROC_SIZE], proc_b[PROC_SIZE];
        size_t size_a, size_b, n;
        int r;

        proc_path(a, proc_a);
        proc_path(b, proc_b);
        r = list_xattrs(proc_b, names, &size_b, path, e);
        if (r != 0)
                return r;
        n = count_wanted(names, size_b);
        r = list_xattrs(proc_a, names, &size_a, path, e);
        if (r != 0)
                return r;
        *ret = count_wanted(names, size_a) == n;
        for (const char *p = names; *ret && p < names + size_a; p += strlen(p) + 1) {
                ssize_t n_a, n_b;

                if (mark_is_no_attribute(p))
                        continue;
                r = read_xattr(proc_a, p, value, &n_a, path, e);
                if (r == 0)
                        r = read_xattr(proc_b, p, other, &n_b, path, e);
                if (r != 0)
                        return r;
                *ret = n_a == n_b && (n_a <= 0 || memcmp(value, other, (size_t) n_a) == 0);
        }
        return 0;
}

static bool same_stat(const struct stat *a, const struct stat *b) {
        bool device = S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode);

        return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
               (!device || a->st_rdev == b->st_rdev);
}

int same_attributes(const SameFile *a, const SameFile *b, const char *path, bool *ret, Error *e) {
        _cleanup_free_ char *buffer = NULL;

        *ret = same_stat(a->st, b->st);
        /* an archive has none of a link */
        if (!*ret || S_ISLNK(a->st->st_mode))
                return 0;
        buffer = malloc((size_t) 3 * XATTRS_MAX);
        if (!buffer)
                return -ENOMEM;
        return compare_xattrs(a->fd, b->fd, buffer, path, ret, e);
}

/* Reads size bytes, fewer only at the end of the file. */
static int read_piece(int fd, char *piece, size_t size, uint64_t offset, size_t *ret) {
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(fd, piece + done, size - done, (off_t) (offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t) n;
        }
        *ret = done;
        return 0;
}

static int compare_content(int a, int b, uint64_t size, const atomic_bool *canceled, bool *ret) {
        _cleanup_free_ char *pieces = malloc((size_t) 2 * PIECE_SIZE);

        if (!pieces)
                return -ENOMEM;
        for (uint64_t offset = 0; *ret && offset < size; offset += PIECE_SIZE) {
                size_t n_a = 0, n_b = 0;
                int r;

                if (canceled && atomic_load(canceled))
                        return CTR_CANCELED;
                r = read_piece(a, pieces, PIECE_SIZE, offset, &n_a);
                if (r == 0)
                        r = read_piece(b, pieces + PIECE_SIZE, PIECE_SIZE, offset, &n_b);
                if (r != 0)
                        return r;
                *ret = n_a == n_b && memcmp(pieces, pieces + PIECE_SIZE, n_a) == 0;
        }
        return 0;
}

static int same_content(const SameFile *a, const SameFile *b, const char *path,
                        const atomic_bool *canceled, bool *ret, Error *e) {
        _cleanup_close_ int fd_a = -1, fd_b = -1;
        int r = 0;

        *ret = a->st->st_size == b->st->st_size;
        if (!*ret || a->st->st_size == 0)
                return 0;
        r = fd_a = walk_reopen(a->fd, false);
        if (r >= 0)
                r = fd_b = walk_reopen(b->fd, false);
        if (r >= 0)
                r = compare_content(fd_a, fd_b, (uint64_t) a->st->st_size, canceled, ret);
        if (r == CTR_CANCELED)
                return error_setf(e, r, "The job was canceled");
        return r < 0 ? error_setf(e, r, "Failed to read \"%s\": %m", path) : 0;
}

static int same_target(const SameFile *a, const SameFile *b, const char *path, bool *ret,
                       Error *e) {
        char target_a[PATH_MAX], target_b[PATH_MAX];
        ssize_t n_a, n_b;

        n_a = readlinkat(a->fd, "", target_a, sizeof(target_a));
        n_b = n_a < 0 ? -1 : readlinkat(b->fd, "", target_b, sizeof(target_b));
        if (n_a < 0 || n_b < 0)
                return error_setf(e, -errno, "Failed to read the link \"%s\": %m", path);
        *ret = n_a == n_b && memcmp(target_a, target_b, (size_t) n_a) == 0;
        return 0;
}

int same_file(const SameFile *a, const SameFile *b, const char *path, const atomic_bool *canceled,
              bool *ret, Error *e) {
        int r;

        assert(a && b && path && ret);

        r = same_attributes(a, b, path, ret, e);
        if (r != 0 || !*ret)
                return r;
        if (S_ISREG(a->st->st_mode))
                return same_content(a, b, path, canceled, ret, e);
        return S_ISLNK(a->st->st_mode) ? same_target(a, b, path, ret, e) : 0;
}
