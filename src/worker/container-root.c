/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/container-root.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

#define VOLATILE_MARK "work/work/incompat/volatile"

/* Takes "native/" away from what begins with it. */
static int parse_kind(ContainerRoot *c, const char **p) {
        const char *rest;

        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++) {
                const Snapshotter *s = snapshotter_get(i);

                rest = s->copies ? startswith(*p, s->name) : NULL;
                if (!rest || *rest != '/')
                        continue;
                if (c->n_layers != c->n_trees || (c->trees && c->trees != s))
                        return -EINVAL;
                c->trees = s;
                c->n_trees++;
                *p = rest + 1;
                return 0;
        }
        return 0;
}

int container_root_parse_layers(ContainerRoot *c, const char *value, Error *e) {
        const char *p = value;
        char *end;

        c->n_layers = c->n_trees = 0;
        c->trees = NULL;
        for (; c->n_layers < ELEMENTSOF(c->layers); p = end + 1) {
                if (parse_kind(c, &p) < 0)
                        break;
                errno = 0;
                c->layers[c->n_layers++] = strtoull(p, &end, 10);
                if (errno != 0 || *p < '1' || *p > '9')
                        break;
                if (!*end)
                        return 0;
                if (*end != ',')
                        break;
        }
        c->n_layers = c->n_trees = 0;
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "--layers=%s is not a list of at most %i numbers of layers", value,
                          OVERLAYFS_LOWER_MAX);
}

static const char *layer_directory(const ContainerRoot *c, size_t i) {
        return i < c->n_trees ? c->trees->directory : OVERLAYFS_DIRECTORY;
}

int container_root_open_layer(const ContainerRoot *c, size_t i, int root_fd, int *ret_fd,
                              Error *e) {
        const char *directory = layer_directory(c, i);
        _cleanup_close_ int fd = -1;

        fd = openat(root_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", directory);
        return overlayfs_open_tree(fd, c->layers[i], ret_fd, e);
}

void container_root_clear(ContainerRoot *c) {
        c->fd = fd_close(c->fd);
        c->lock_fd = fd_close(c->lock_fd);
        c->namespace_fd = fd_close(c->namespace_fd);
}

/* Names relative to the snapshots, which is the working directory meanwhile: mount(2) takes one
 * page for all. */
static int make_options(const ContainerRoot *c, size_t skip, bool writable, char **ret) {
        size_t size = (c->n_layers + 5) * 40, n = 0;
        char *options = malloc(size);

        if (!options)
                return -ENOMEM;
        n = (size_t) sprintf(options, "index=off,metacopy=off,redirect_dir=off,lowerdir=");
        for (size_t i = skip + writable; i < c->n_layers; i++)
                n += (size_t) sprintf(options + n, "%s%" PRIu64 "/fs",
                                      i > skip + writable ? ":" : "", c->layers[i]);
        if (writable)
                (void) sprintf(options + n, ",upperdir=%" PRIu64 "/fs,workdir=%" PRIu64 "/work",
                               c->layers[skip], c->layers[skip]);
        *ret = options;
        return 0;
}

static int check_layers(const ContainerRoot *c, size_t skip, int snapshots_fd, Error *e) {
        for (size_t i = skip; i < c->n_layers; i++) {
                _cleanup_close_ int fd = -1;
                int r = overlayfs_open_tree(snapshots_fd, c->layers[i], &fd, e);

                if (r != 0)
                        return r;
        }
        return 0;
}

/* Nobody else may have it mounted: the manager looks for the lock before it starts a task. */
static int lock_layer(ContainerRoot *c, size_t i, int root_fd, Error *e) {
        char path[STRLEN(OVERLAYFS_DIRECTORY) + OVERLAYFS_NAME_SIZE];

        (void) snprintf(path, sizeof(path), "%s/%" PRIu64, layer_directory(c, i), c->layers[i]);
        c->lock_fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (c->lock_fd < 0)
                return error_setf(e, -errno, "Failed to open the snapshot %s: %m", path);
        if (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_setf(e, errno == EWOULDBLOCK ? CTR_CONFLICT : -errno,
                                  "Somebody else writes to the container's files");
        if (faccessat(c->lock_fd, VOLATILE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container's files are volatile, and can be written to only "
                                  "before its first task and while one runs");
        return 0;
}

/* The mount namespace is there for as long as somebody holds it: the sandbox goes on to one of its
 * own, where all is read-only. */
static int keep_namespace(ContainerRoot *c, Error *e) {
        c->namespace_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        return c->namespace_fd < 0 ? error_setf(e, -errno, "Failed to open the mount namespace: %m")
                                   : 0;
}

/* On top of the snapshots' own directory, where nobody but us sees it. */
static int mount_overlay(ContainerRoot *c, const char *path, int snapshots_fd, const char *options,
                         bool writable, Error *e) {
        unsigned long flags = MS_NODEV | MS_NOSUID | MS_NOEXEC | (writable ? 0 : MS_RDONLY);

        if (fchdir(snapshots_fd) < 0)
                return error_setf(e, -errno, "Failed to enter %s: %m", path);
        if (mount("overlay", path, "overlay", flags, options) < 0)
                return error_setf(e, -errno, "Failed to mount the container's files: %m");
        c->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->fd < 0 || chdir("/") < 0)
                return error_setf(e, -errno, "Failed to open the container's files: %m");
        return 0;
}

static int snapshots_path(const char *root, char **ret) {
        if (asprintf(ret, "%s/" OVERLAYFS_DIRECTORY, root) >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

static int make_overlay(ContainerRoot *c, const char *root, int root_fd, size_t skip, bool writable,
                        Error *e) {
        _cleanup_free_ char *path = NULL, *options = NULL;
        _cleanup_close_ int snapshots_fd = -1;
        int r;

        r = snapshots_path(root, &path);
        if (r < 0)
                return r;
        snapshots_fd = openat(root_fd, OVERLAYFS_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (snapshots_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", path);
        r = check_layers(c, skip, snapshots_fd, e);
        if (r == 0)
                r = make_options(c, skip, writable, &options);
        return r == 0 ? mount_overlay(c, path, snapshots_fd, options, writable, e) : r;
}

int container_root_mount(ContainerRoot *c, const char *root, size_t skip, bool writable, Error *e) {
        _cleanup_close_ int root_fd = -1;
        int r = 0;

        assert(skip < c->n_layers);

        if (root[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT, "--root=%s is no absolute path", root);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace: %m");
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", root);
        if (writable)
                r = lock_layer(c, skip, root_fd, e);
        if (r != 0)
                return r;
        /* a layer by itself: what the others could hide or add is not there, or in it */
        if (skip < c->n_trees || c->n_layers - skip == 1)
                r = container_root_open_layer(c, skip, root_fd, &c->fd, e);
        else
                r = make_overlay(c, root, root_fd, skip, writable, e);
        return r == 0 ? keep_namespace(c, e) : r;
}

int container_root_leave(const char *root, Error *e) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = snapshots_path(root, &path);
        if (r < 0)
                return r;
        if (unshare(CLONE_NEWNS) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace: %m");
        /* there is nothing to take away where one layer was enough */
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
                return error_setf(e, -errno, "Failed to unmount the container's files: %m");
        return 0;
}
