/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/overlayfs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "basic/fs.h"

#define ID_SIZE 32

static const char *id_name(int64_t id, char buf[static ID_SIZE]) {
        (void) snprintf(buf, ID_SIZE, "%" PRId64, id);
        return buf;
}

static int copy_root_attributes(int snapshots_fd, int64_t parent, int fd) {
        char path[ID_SIZE + STRLEN("/fs")];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%" PRId64 "/fs", parent);
        if (fstatat(snapshots_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0)
                return -errno;
        return 0;
}

static int prepare_inside(int snapshots_fd, int dir_fd, int64_t parent) {
        _cleanup_close_ int fd = -1;

        if (mkdirat(dir_fd, "work", 0711) < 0 ||
            (parent == 0 && mkdirat(dir_fd, "lower", 0755) < 0))
                return -errno;
        fd = dir_open_make_at(dir_fd, "fs", 0755);
        if (fd < 0)
                return fd;
        return parent > 0 ? copy_root_attributes(snapshots_fd, parent, fd) : 0;
}

int overlayfs_prepare(int snapshots_fd, int64_t id, int64_t parent, Error *e) {
        _cleanup_close_ int fd = -1;
        char name[ID_SIZE];
        int r;

        id_name(id, name);
        if (mkdirat(snapshots_fd, name, 0711) < 0)
                return error_setf(e, -errno, "Failed to make the directory of snapshot %s: %m",
                                  name);
        fd = openat(snapshots_fd, name, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        r = fd < 0 ? -errno : prepare_inside(snapshots_fd, fd, parent);
        if (r < 0) {
                (void) tree_remove_at(snapshots_fd, name);
                return error_setf(e, r, "Failed to prepare snapshot %s: %m", name);
        }
        return 0;
}

int overlayfs_adopt(int snapshots_fd, const char *name, int64_t id, Error *e) {
        char target[ID_SIZE];

        if (name[0] != '.' || strchr(name, '/'))
                return error_setf(e, -EINVAL, "\"%s\" is no name of a finished layer", name);
        id_name(id, target);
        if (renameat2(snapshots_fd, name, snapshots_fd, target, RENAME_NOREPLACE) < 0)
                return error_setf(e, -errno, "Failed to rename layer %s to %s: %m", name, target);
        return 0;
}

int overlayfs_doom(int snapshots_fd, int64_t id, Error *e) {
        char name[ID_SIZE], target[ID_SIZE + STRLEN(".doomed-")];

        id_name(id, name);
        (void) snprintf(target, sizeof(target), ".doomed-%s", name);
        if (renameat(snapshots_fd, name, snapshots_fd, target) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to rename snapshot %s: %m", name);
        return 0;
}

static int join_lowers(const char *store, const int64_t *lowers, size_t n, char **ret) {
        _cleanup_free_ char *joined = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&joined, &size);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s%s/snapshots/overlayfs/%" PRId64 "/fs", i > 0 ? ":" : "", store,
                        lowers[i]);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(joined);
        return 0;
}

int overlayfs_mount_paths(const char *store, const int64_t *chain, size_t n, char **ret_lower,
                          char **ret_upper, char **ret_work, Error *e) {
        _cleanup_free_ char *lower = NULL, *upper = NULL, *work = NULL;
        int r;

        assert(store && chain && n > 0);

        if (strchr(store, ':'))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "overlayfs cannot use a store whose path has a ':': %s", store);
        if (asprintf(&upper, "%s/snapshots/overlayfs/%" PRId64 "/fs", store, chain[0]) < 0 ||
            asprintf(&work, "%s/snapshots/overlayfs/%" PRId64 "/work", store, chain[0]) < 0)
                return -ENOMEM;
        if (n > 1)
                r = join_lowers(store, chain + 1, n - 1, &lower);
        else
                r = asprintf(&lower, "%s/snapshots/overlayfs/%" PRId64 "/lower", store, chain[0]) <
                                                    0
                                    ? -ENOMEM
                                    : 0;
        if (r < 0)
                return r;
        *ret_lower = TAKE_PTR(lower);
        *ret_upper = TAKE_PTR(upper);
        *ret_work = TAKE_PTR(work);
        return 0;
}
