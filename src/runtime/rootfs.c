/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/rootfs-internal.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/mount.h"
#include "runtime/volatile.h"

static void layers_clear(Layers *l) {
        free(l->text);
        free(l->mapped_upper);
        free(l->mapped_work);
}

static int layers_split(Layers *l, const char *lower, Error *e) {
        l->text = strdup(lower);
        if (!l->text)
                return -ENOMEM;
        for (char *p = l->text, *next; p; p = next) {
                next = strchr(p, ':');
                if (next)
                        *next++ = '\0';
                if (p[0] != '/')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The layer \"%.128s\" is not an absolute path", p);
                if (l->n >= ROOTFS_LAYERS_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "More than %d layers",
                                          ROOTFS_LAYERS_MAX);
                l->names[l->n++] = p;
        }
        return 0;
}

size_t common_directory(const char *a, const char *b, size_t n) {
        size_t common = 0;

        for (size_t i = 0; i < n && a[i] == b[i] && a[i] != '\0'; i++)
                if (a[i] == '/')
                        common = i + 1;
        return common;
}

static void layers_make_relative(Layers *l) {
        const char *first = l->names[0], *slash = strrchr(first, '/');
        size_t n = (size_t) (slash - first) + 1;

        for (size_t i = 1; i < l->n; i++)
                n = common_directory(first, l->names[i], n);
        if (l->upper)
                n = common_directory(first, l->upper, n);
        if (l->work)
                n = common_directory(first, l->work, n);
        if (n <= 1 || n >= sizeof(l->base))
                return;
        memcpy(l->base, first, n);
        for (size_t i = 0; i < l->n; i++)
                l->names[i] += n;
        l->upper = l->upper ? l->upper + n : NULL;
        l->work = l->work ? l->work + n : NULL;
}

static int set_string(int context_fd, const char *key, const char *value, Error *e) {
        char message[300];
        int r;

        if (fsconfig(context_fd, FSCONFIG_SET_STRING, key, value, 0) >= 0)
                return 0;
        r = -errno;
        return error_setf(e, r, "Failed to set %s=%s of the overlay: %m%s", key, value,
                          fs_context_message(context_fd, message, sizeof(message)));
}

/* 1 and the mount; 0 if this kernel has no "lowerdir+" (it came with 6.5). */
static int overlay_by_layer(const Layers *l, int *ret_fd, Error *e) {
        _cleanup_close_ int context_fd = -1;
        char message[300];
        int r;

        context_fd = fsopen("overlay", FSOPEN_CLOEXEC);
        if (context_fd < 0)
                return error_setf(e, -errno, "Failed to open file system overlay: %m");
        r = set_string(context_fd, "source", "overlay", e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < l->n; i++) {
                if (fsconfig(context_fd, FSCONFIG_SET_STRING, "lowerdir+", l->names[i], 0) >= 0)
                        continue;
                r = -errno;
                if (i == 0 && r == -EINVAL)
                        return 0;
                return error_setf(e, r, "Failed to add layer %s%s: %m%s", l->base, l->names[i],
                                  fs_context_message(context_fd, message, sizeof(message)));
        }
        if (l->upper) {
                r = set_string(context_fd, "upperdir", l->upper, e);
                if (r == 0)
                        r = set_string(context_fd, "workdir", l->work, e);
                if (r != 0)
                        return r;
                if (l->is_volatile &&
                    fsconfig(context_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
                        return error_setf(e, -errno, "Failed to make the overlay volatile: %m");
        }
        r = fs_context_mount(context_fd);
        /* before 6.5 an overlay takes any key and looks at them all only now */
        if (r == -EINVAL)
                return 0;
        if (r < 0)
                return error_setf(e, r, "Failed to mount the overlay of %zu layers: %m%s", l->n,
                                  fs_context_message(context_fd, message, sizeof(message)));
        *ret_fd = r;
        return 1;
}

/* Appends key and value to the options of mount(2), where ',', '\\' and ':' have a meaning. */
static int append_escaped(char *buf, size_t size, size_t *used, const char *key,
                          const char *value) {
        size_t n = strlen(key);

        if (*used + n + 2 * strlen(value) + 1 > size)
                return -E2BIG;
        memcpy(buf + *used, key, n);
        *used += n;
        for (; *value; value++) {
                if (strchr(",\\:", *value))
                        buf[(*used)++] = '\\';
                buf[(*used)++] = *value;
        }
        buf[*used] = '\0';
        return 0;
}

/* For kernels before 6.5: all layers in the one page of mount(2), which attaches at once. */
static int overlay_by_page(const Layers *l, int *ret_fd, Error *e) {
        size_t size = (size_t) sysconf(_SC_PAGESIZE), used = 0;
        _cleanup_free_ char *options = NULL;
        int r = 0;

        options = malloc(size);
        if (!options)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < l->n; i++)
                r = append_escaped(options, size, &used, i == 0 ? "lowerdir=" : ":", l->names[i]);
        if (r == 0 && l->upper)
                r = append_escaped(options, size, &used, ",upperdir=", l->upper);
        if (r == 0 && l->upper)
                r = append_escaped(options, size, &used, ",workdir=", l->work);
        if (r == 0 && l->upper && l->is_volatile)
                r = append_escaped(options, size, &used, ",volatile", "");
        if (r < 0)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "%zu layers are too many for this kernel (6.5 lifts the limit)",
                                  l->n);
        if (mount("overlay", "/", "overlay", 0, options) < 0)
                return error_setf(e, -errno, "Failed to mount the overlay of %zu layers: %m", l->n);
        /* "/" is still the old root, "/.." is what lies on top of it */
        r = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (r < 0)
                return error_setf(e, -errno, "Failed to open the overlay: %m");
        *ret_fd = r;
        return 0;
}

int rootfs_open_directory(int bundle_fd, const char *path, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = openat(bundle_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the root directory %s: %m", path);
        r = mount_clone(fd, true);
        if (r < 0)
                return error_setf(e, r, "Failed to bind the root directory %s: %m", path);
        *ret_fd = r;
        return 0;
}

static int single_layer(const char *path, const RootfsParameters *p, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = rootfs_open_directory(AT_FDCWD, path, &fd, e);
        if (r != 0)
                return r;
        if (p->is_mapped) {
                r = mount_idmap(fd, p->userns_fd, true);
                if (r < 0)
                        return mount_idmap_failed(r, "the layer", path, e);
        }
        r = mount_change(fd, MOUNT_ATTR_RDONLY, 0, 0, true);
        if (r < 0)
                return error_setf(e, r, "Failed to make %s read-only: %m", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int overlay_make(const Layers *l, const RootfsParameters *p, int *ret_fd, bool *ret_attached,
                 Error *e) {
        int r;

        r = p->old_kernel ? 0 : overlay_by_layer(l, ret_fd, e);
        if (r != 0)
                return MIN_OF(r, 0);
        r = overlay_by_page(l, ret_fd, e);
        *ret_attached = r == 0;
        return r;
}

int rootfs_make_overlay(const RootfsParameters *p, int *ret_fd, bool *ret_attached, Error *e) {
        _cleanup_(layers_clear) Layers l = {
                        .upper = p->upper,
                        .work = p->work,
                        .is_volatile = p->is_volatile,
        };
        int r;

        *ret_attached = false;
        if (p->upper && (p->upper[0] != '/' || isempty(p->work) || p->work[0] != '/'))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The upper and the work directory are not both absolute paths");
        r = layers_split(&l, p->lower, e);
        if (r != 0)
                return r;
        if (l.n == 1 && !p->upper)
                return single_layer(l.names[0], p, ret_fd, e);
        if (p->upper) {
                r = volatile_prepare(p->work, p->is_volatile, e);
                if (r != 0)
                        return r;
        }

        if (p->is_mapped) {
                r = layers_map(&l, p, e);
                if (r != 0)
                        return r;
        } else
                layers_make_relative(&l);
        if (l.base[0] && chdir(l.base) < 0)
                return error_setf(e, -errno, "Failed to enter %s: %m", l.base);
        r = p->is_mapped ? overlay_make_mapped(&l, p, ret_fd, ret_attached, e)
                         : overlay_make(&l, p, ret_fd, ret_attached, e);
        if (r != 0)
                return r;
        if (chdir("/") < 0)
                return error_setf(e, -errno, "Failed to leave %s: %m", l.base);
        return p->is_mapped ? layers_unmap(ret_fd, ret_attached, e) : 0;
}

int rootfs_attach(int root_fd, bool attached, unsigned long propagation, Error *e) {
        _cleanup_close_ int slash_fd = -1;
        int r;

        r = mount_change(root_fd, 0, 0, propagation == MS_SLAVE ? MS_SLAVE : MS_PRIVATE, true);
        if (r < 0)
                return error_setf(e, r, "Failed to set the propagation of the root: %m");
        if (attached)
                return 0;
        slash_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (slash_fd < 0)
                return error_setf(e, -errno, "Failed to open /: %m");
        r = mount_attach(root_fd, slash_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to attach the root file system: %m");
        return 0;
}

/* pivot_root(2): with both at ".", the old root lies on top of the new one until it goes, and no
 * directory for it is needed in the image. */
static int pivot(int root_fd, Error *e) {
        if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return error_setf(e, -errno, "Failed to change the root: %m");
        if (umount2(".", MNT_DETACH) < 0)
                return error_setf(e, -errno, "Failed to let go of the host's root: %m");
        return 0;
}

int rootfs_enter(int root_fd, unsigned long propagation, bool no_pivot, Error *e) {
        int r = 0;

        if (!no_pivot)
                r = pivot(root_fd, e);
        else if (fchdir(root_fd) < 0 || chroot(".") < 0)
                r = error_setf(e, -errno, "Failed to change the root: %m");
        if (r != 0)
                return r;
        if (chdir("/") < 0)
                return error_setf(e, -errno, "Failed to enter the root: %m");
        /* pivot_root() refuses a shared one */
        if (propagation != MS_SHARED && propagation != MS_UNBINDABLE)
                return 0;
        r = mount_change(root_fd, 0, 0, propagation, false);
        if (r < 0)
                return error_setf(e, r, "Failed to set the propagation of the root: %m");
        return 0;
}
