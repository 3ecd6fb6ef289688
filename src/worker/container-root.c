/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/container-root.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

#define VOLATILE_MARK "work/work/incompat/volatile"

int container_root_parse_layers(ContainerRoot *c, const char *value, Error *e) {
        const char *p = value;
        char *end;

        for (c->n_layers = 0; c->n_layers < ELEMENTSOF(c->layers); p = end + 1) {
                errno = 0;
                c->layers[c->n_layers++] = strtoull(p, &end, 10);
                if (errno != 0 || *p < '1' || *p > '9')
                        break;
                if (!*end)
                        return 0;
                if (*end != ',')
                        break;
        }
        c->n_layers = 0;
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "--layers=%s is not a list of at most %i numbers of layers", value,
                          OVERLAYFS_LOWER_MAX);
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

/* A layer by itself: what the others could hide or add is not there. */
static int open_single(ContainerRoot *c, size_t skip, int snapshots_fd, Error *e) {
        return overlayfs_open_tree(snapshots_fd, c->layers[skip], &c->fd, e);
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
static int lock_layer(ContainerRoot *c, size_t skip, int snapshots_fd, Error *e) {
        char path[OVERLAYFS_NAME_SIZE + sizeof(VOLATILE_MARK)];

        (void) snprintf(path, sizeof(path), "%" PRIu64, c->layers[skip]);
        c->lock_fd = openat(snapshots_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
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
        /* the sandbox goes on to a namespace of its own */
        c->namespace_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        if (c->namespace_fd < 0)
                return error_setf(e, -errno, "Failed to open the mount namespace: %m");
        return 0;
}

int container_root_mount(ContainerRoot *c, const char *root, size_t skip, bool writable, Error *e) {
        _cleanup_free_ char *path = NULL, *options = NULL;
        _cleanup_close_ int snapshots_fd = -1;
        int r;

        assert(skip < c->n_layers);

        if (root[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT, "--root=%s is no absolute path", root);
        if (asprintf(&path, "%s/" OVERLAYFS_DIRECTORY, root) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace: %m");
        snapshots_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (snapshots_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", path);
        r = check_layers(c, skip, snapshots_fd, e);
        if (r == 0 && writable)
                r = lock_layer(c, skip, snapshots_fd, e);
        if (r != 0)
                return r;
        if (c->n_layers - skip == 1)
                return open_single(c, skip, snapshots_fd, e);
        r = make_options(c, skip, writable, &options);
        return r == 0 ? mount_overlay(c, path, snapshots_fd, options, writable, e) : r;
}
