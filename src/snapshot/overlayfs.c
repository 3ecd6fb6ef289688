/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/overlayfs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "snapshot/inherit.h"

int overlayfs_open(int root_fd) {
        return dir_open_make_at(root_fd, OVERLAYFS_DIRECTORY, 0700);
}

static int random_name(const char *prefix, char ret[static OVERLAYFS_NAME_SIZE]) {
        uint64_t bits[2];

        if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
                return -EIO;
        (void) snprintf(ret, OVERLAYFS_NAME_SIZE, "%s%016" PRIx64 "%016" PRIx64, prefix, bits[0],
                        bits[1]);
        return 0;
}

static void final_name(uint64_t n, char ret[static OVERLAYFS_NAME_SIZE]) {
        (void) snprintf(ret, OVERLAYFS_NAME_SIZE, "%" PRIu64, n);
}

static int make_fs(int dir_fd, const char *name, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1, fs_fd = -1;
        int r;

        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || mkdirat(fd, "fs", 0755) < 0)
                return error_setf(e, -errno, "Failed to make a snapshot directory: %m");
        fs_fd = openat(fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fs_fd < 0 || fchmod(fs_fd, 0755) < 0) {
                r = error_setf(e, -errno, "Failed to open a snapshot directory: %m");
                (void) unlinkat(fd, "fs", AT_REMOVEDIR);
                return r;
        }
        *ret_fd = TAKE_FD(fs_fd);
        return 0;
}

int overlayfs_create(int dir_fd, char ret_name[static OVERLAYFS_NAME_SIZE], int *ret_fs_fd,
                     Error *e) {
        static atomic_uint counter;
        char name[OVERLAYFS_NAME_SIZE];
        int r;

        assert(ret_fs_fd);

        do {
                (void) snprintf(name, sizeof(name), OVERLAYFS_TEMPORARY_PREFIX "%i-%u",
                                (int) getpid(), atomic_fetch_add(&counter, 1));
                /* what is there was left by a crashed process with our pid; it is not ours */
                if (mkdirat(dir_fd, name, 0700) >= 0)
                        break;
                if (errno != EEXIST)
                        return error_setf(e, -errno, "Failed to make a snapshot directory: %m");
        } while (true);

        r = make_fs(dir_fd, name, ret_fs_fd, e);
        if (r != 0)
                (void) unlinkat(dir_fd, name, AT_REMOVEDIR);
        else
                strcpy(ret_name, name);
        return r;
}

static void links_name(const char *temporary, char ret[static OVERLAYFS_NAME_SIZE + 8]) {
        (void) snprintf(ret, OVERLAYFS_NAME_SIZE + 8, "%s/links", temporary);
}

int overlayfs_open_links(int dir_fd, const char *temporary, int *ret_fd, Error *e) {
        char name[OVERLAYFS_NAME_SIZE + 8];
        int fd;

        assert(temporary && ret_fd);

        links_name(temporary, name);
        fd = dir_open_make_at(dir_fd, name, 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to make a snapshot directory: %m");
        *ret_fd = fd;
        return 0;
}

int overlayfs_remove_links(int dir_fd, const char *temporary, Error *e) {
        char name[OVERLAYFS_NAME_SIZE + 8];

        links_name(temporary, name);
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
                return error_setf(e, -errno, "Failed to remove a snapshot directory: %m");
        return 0;
}

int overlayfs_publish(int dir_fd, const char *temporary, char ret_name[static OVERLAYFS_NAME_SIZE],
                      Error *e) {
        char prefix[STRLEN(OVERLAYFS_PUBLISHED_PREFIX) + 16], name[OVERLAYFS_NAME_SIZE];
        int r;

        (void) snprintf(prefix, sizeof(prefix), OVERLAYFS_PUBLISHED_PREFIX "%i-", (int) getpid());
        r = random_name(prefix, name);
        if (r < 0)
                return error_setf(e, r, "Failed to find a name for a snapshot: %m");
        if (renameat2(dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) < 0)
                return error_setf(e, -errno, "Failed to rename the snapshot %s: %m", temporary);
        strcpy(ret_name, name);
        return 0;
}

int overlayfs_adopt(int dir_fd, const char *published, uint64_t n, Error *e) {
        char name[OVERLAYFS_NAME_SIZE];

        assert(published);

        if (!startswith(published, OVERLAYFS_PUBLISHED_PREFIX) || strchr(published, '/'))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a published snapshot",
                                  published);
        final_name(n, name);
        if (renameat2(dir_fd, published, dir_fd, name, RENAME_NOREPLACE) >= 0)
                return 0;
        if (errno == ENOENT)
                return error_setf(e, CTR_NOT_FOUND, "The snapshot %s is gone", published);
        if (errno == EEXIST)
                return error_setf(e, CTR_ALREADY_EXISTS, "The snapshot %s is there already", name);
        return error_setf(e, -errno, "Failed to rename the snapshot %s: %m", published);
}

int overlayfs_open_tree(int dir_fd, uint64_t n, int *ret_fd, Error *e) {
        char path[OVERLAYFS_NAME_SIZE];
        int fd;

        assert(ret_fd);

        (void) snprintf(path, sizeof(path), "%" PRIu64 "/fs", n);
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && errno == ENOENT)
                return error_setf(e, CTR_NOT_FOUND, "The snapshot %" PRIu64 " is gone", n);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the snapshot %" PRIu64 ": %m", n);
        *ret_fd = fd;
        return 0;
}

int overlayfs_prepare(int dir_fd, uint64_t n, uint64_t parent, Error *e) {
        _cleanup_close_ int parent_fd = -1, fs_fd = -1;
        char temporary[OVERLAYFS_NAME_SIZE], name[OVERLAYFS_NAME_SIZE];
        char work[OVERLAYFS_NAME_SIZE + 8];
        int r = 0;

        if (parent > 0) {
                r = overlayfs_open_tree(dir_fd, parent, &parent_fd, e);
                if (r != 0)
                        return r;
        }
        r = overlayfs_create(dir_fd, temporary, &fs_fd, e);
        if (r != 0)
                return r;
        if (parent_fd >= 0)
                r = attributes_copy(parent_fd, fs_fd, e);
        (void) snprintf(work, sizeof(work), "%s/work", temporary);
        if (r == 0 && mkdirat(dir_fd, work, 0700) < 0)
                r = error_setf(e, -errno, "Failed to make the snapshot's work directory: %m");
        final_name(n, name);
        if (r == 0 && renameat2(dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) < 0)
                r = errno == EEXIST ? error_setf(e, CTR_ALREADY_EXISTS,
                                                 "The snapshot %s is there already", name)
                                    : error_setf(e, -errno, "Failed to rename the snapshot %s: %m",
                                                 name);
        if (r != 0)
                (void) tree_remove_at(dir_fd, temporary);
        return r;
}

int overlayfs_exchange(int dir_fd, uint64_t n, const char *name, Error *e) {
        char mine[OVERLAYFS_NAME_SIZE + 8], other[OVERLAYFS_NAME_SIZE + 8];

        (void) snprintf(mine, sizeof(mine), "%" PRIu64 "/fs", n);
        (void) snprintf(other, sizeof(other), "%s/fs", name);
        if (renameat2(dir_fd, mine, dir_fd, other, RENAME_EXCHANGE) >= 0)
                return 0;
        return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                          "Failed to exchange the trees of the snapshots %s and %s: %m", mine,
                          other);
}

int overlayfs_discard(int dir_fd, const char *name, Error *e) {
        char doomed[OVERLAYFS_NAME_SIZE];
        int r;

        r = random_name(OVERLAYFS_DOOMED_PREFIX, doomed);
        if (r < 0)
                return error_setf(e, r, "Failed to find a name for a snapshot: %m");
        if (renameat2(dir_fd, name, dir_fd, doomed, RENAME_NOREPLACE) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to rename the snapshot %s: %m", name);
        return 0;
}

int overlayfs_doom(int dir_fd, uint64_t n, Error *e) {
        char name[OVERLAYFS_NAME_SIZE];

        final_name(n, name);
        return overlayfs_discard(dir_fd, name, e);
}

bool overlayfs_name_is_temporary(const char *name) {
        return (startswith(name, OVERLAYFS_TEMPORARY_PREFIX) ||
                startswith(name, OVERLAYFS_PUBLISHED_PREFIX) ||
                startswith(name, OVERLAYFS_DOOMED_PREFIX)) &&
               !strchr(name, '/');
}

int overlayfs_remove(int dir_fd, const char *name, Error *e) {
        int r;

        if (!overlayfs_name_is_temporary(name))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not the name of a doomed snapshot", name);
        r = tree_remove_at(dir_fd, name);
        if (r < 0)
                return error_setf(e, r, "Failed to remove the snapshot %s: %m", name);
        return 0;
}

char *overlayfs_path(const char *root, uint64_t n, const char *what) {
        char *path;

        return asprintf(&path, "%s/" OVERLAYFS_DIRECTORY "/%" PRIu64 "/%s", root, n, what) < 0
                               ? NULL
                               : path;
}

/* Colons separate the lower directories; a backslash takes their meaning away. */
static size_t append_escaped(char *buf, const char *s) {
        char *p = buf;

        for (; *s; s++) {
                if (*s == ':' || *s == '\\')
                        *p++ = '\\';
                *p++ = *s;
        }
        return (size_t) (p - buf);
}

char *overlayfs_lowerdir(const char *root, const uint64_t *chain, size_t n_chain) {
        size_t size = 0, used = 0;
        char *s;

        assert(root && (chain || n_chain == 0));

        size = n_chain * (2 * strlen(root) + STRLEN(OVERLAYFS_DIRECTORY) + 32) + 1;
        s = calloc(1, size);
        for (size_t i = 0; s && i < n_chain; i++) {
                if (i > 0)
                        s[used++] = ':';
                used += append_escaped(s + used, root);
                used += (size_t) sprintf(s + used, "/" OVERLAYFS_DIRECTORY "/%" PRIu64 "/fs",
                                         chain[i]);
        }
        return s;
}

int overlayfs_check(int dir_fd, Error *e) {
        char name[OVERLAYFS_NAME_SIZE];
        _cleanup_close_ int fd = -1;
        struct statfs sfs;
        int r;

        if (fstatfs(dir_fd, &sfs) < 0)
                return error_setf(e, -errno, "Failed to find out the snapshots' file system: %m");
        if (sfs.f_type == OVERLAYFS_SUPER_MAGIC)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "The snapshots are on an overlay file system, which cannot hold "
                                  "the upper directory of another one");
        r = overlayfs_create(dir_fd, name, &fd, e);
        if (r != 0)
                return r;
        if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
                r = error_setf(e, CTR_NOT_IMPLEMENTED,
                               "The snapshots' file system takes no trusted extended attributes: "
                               "%s",
                               errno == EPERM ? "no privilege" : "not supported");
        else if (mknodat(fd, "whiteout", S_IFCHR, makedev(0, 0)) < 0)
                r = error_setf(e, CTR_NOT_IMPLEMENTED,
                               "The snapshots' file system takes no device nodes");
        (void) tree_remove_at(dir_fd, name);
        return r;
}

/* The options that tell of directories below base, which is "<root>/snapshots/overlayfs" or leads
 * there. */
static int overlay_options(const SnapshotStack *stack, const char *base, char ***ret) {
        _cleanup_strv_free_ char **options = NULL;
        _cleanup_free_ char *lower = NULL;
        size_t size = stack->n_parents * (strlen(base) + 32) + STRLEN("lowerdir=") + 1, used;
        int r = 0;

        lower = malloc(size);
        if (!lower)
                return -ENOMEM;
        used = (size_t) sprintf(lower, "lowerdir=");
        for (size_t i = 0; i < stack->n_parents; i++)
                used += (size_t) sprintf(lower + used, "%s%s/%" PRIu64 "/fs", i > 0 ? ":" : "",
                                         base, stack->parents[i]);
        if (!stack->view) {
                r = strv_extendf(&options, "workdir=%s/%" PRIu64 "/work", base, stack->n);
                if (r >= 0)
                        r = strv_extendf(&options, "upperdir=%s/%" PRIu64 "/fs", base, stack->n);
        }
        if (r >= 0)
                r = strv_extend(&options, lower);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(options);
        return 0;
}

/* As one string, they must fit into what mount(2) reads. */
static bool options_fit(char *const *options) {
        size_t size = 0;

        STRV_FOREACH(s, options)
                size += strlen(*s) + 1;
        return size <= (size_t) sysconf(_SC_PAGESIZE);
}

int overlayfs_mount(const SnapshotStack *stack, SnapshotMount *ret, Error *e) {
        _cleanup_free_ char *base = NULL, *source = NULL;
        _cleanup_strv_free_ char **options = NULL;
        bool odd;
        int r;

        if (stack->n_parents == 0 || (stack->view && stack->n_parents == 1))
                return snapshot_mount_bind(stack->root, OVERLAYFS_DIRECTORY,
                                           stack->n_parents > 0 ? stack->parents[0] : stack->n,
                                           stack->view, ret);
        if (asprintf(&base, "%s/" OVERLAYFS_DIRECTORY, stack->root) < 0)
                return -ENOMEM;
        /* to some of mount(8), the kernel's reader of options, and overlayfs */
        odd = strpbrk(base, ":,\\\" ");
        r = odd ? 0 : overlay_options(stack, base, &options);
        if (r == 0 && (odd || !options_fit(options)) && stack->link) {
                strv_free(options);
                options = NULL;
                r = overlay_options(stack, stack->link, &options);
        }
        if (r < 0)
                return r;
        if (!options || !options_fit(options))
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The snapshot has %zu parents, which are more than can be named "
                                  "in the options of one mount",
                                  stack->n_parents);
        source = strdup("overlay");
        return snapshot_mount_fill(ret, "overlay", TAKE_PTR(source), TAKE_PTR(options));
}
