/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/mount.h"

#include <fcntl.h>
#include <sys/mount.h>

int mount_clone(int fd, bool recursive) {
        int r = open_tree(fd, "",
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                                          (recursive ? AT_RECURSIVE : 0U));

        return r < 0 ? -errno : r;
}

int mount_change(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive) {
        struct mount_attr attr = {
                        .attr_set = set,
                        .attr_clr = clear,
                        .propagation = propagation,
        };

        if (set == 0 && clear == 0 && propagation == 0)
                return 0;
        if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &attr,
                          sizeof(attr)) < 0)
                return -errno;
        return 0;
}

int mount_idmap(int fd, int userns_fd, bool recursive) {
        struct mount_attr attr = {
                        .attr_set = MOUNT_ATTR_IDMAP,
                        .userns_fd = (uint64_t) userns_fd,
        };

        if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &attr,
                          sizeof(attr)) < 0)
                return -errno;
        return 0;
}

int mount_idmap_failed(int r, const char *what, const char *path, Error *e) {
        return error_setf(e, r, "Failed to map the ids of %s %s%s: %m", what, path,
                          r == -EINVAL ? ", whose file system has no mapped mounts" : "");
}

int mount_attach(int mount_fd, int target_fd) {
        if (move_mount(mount_fd, "", target_fd, "",
                       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return -errno;
        return 0;
}

int fs_context_set(int context_fd, const char *parameter) {
        const char *value = strchr(parameter, '=');
        char key[64];
        size_t n;

        if (!value)
                return fsconfig(context_fd, FSCONFIG_SET_FLAG, parameter, NULL, 0) < 0 ? -errno : 0;
        n = (size_t) (value - parameter);
        if (n >= sizeof(key))
                return -EINVAL;
        memcpy(key, parameter, n);
        key[n] = '\0';
        return fsconfig(context_fd, FSCONFIG_SET_STRING, key, value + 1, 0) < 0 ? -errno : 0;
}

int fs_context_mount(int context_fd) {
        int fd;

        if (fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        fd = fsmount(context_fd, FSMOUNT_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
}

const char *fs_context_message(int context_fd, char *buf, size_t size) {
        /* one message per read(): "e text", "w text" or "i text"; the last error is the cause */
        buf[0] = '\0';
        for (unsigned i = 0; i < 16; i++) {
                char line[256];
                ssize_t n = read(context_fd, line, sizeof(line) - 1);

                if (n <= 0)
                        break;
                line[n] = '\0';
                line[strcspn(line, "\n")] = '\0';
                if (startswith(line, "e "))
                        (void) snprintf(buf, size, " (%s)", line + 2);
        }
        return buf;
}

int mount_new(const char *type, const char *source, const char *const *parameters,
              size_t n_parameters, int *ret_fd, Error *e) {
        _cleanup_close_ int context_fd = -1;
        char message[300];
        int r;

        context_fd = fsopen(type, FSOPEN_CLOEXEC);
        if (context_fd < 0)
                return error_setf(e, errno == ENODEV ? CTR_INVALID_ARGUMENT : -errno,
                                  "Failed to open file system \"%s\": %m", type);
        if (!isempty(source) && fsconfig(context_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
                return error_setf(e, -errno, "Failed to set the source \"%s\" of %s: %m", source,
                                  type);
        for (size_t i = 0; i < n_parameters; i++) {
                r = fs_context_set(context_fd, parameters[i]);
                if (r < 0)
                        return error_setf(e, r == -EINVAL ? CTR_INVALID_ARGUMENT : r,
                                          "Failed to set \"%s\" of %s: %s%s", parameters[i], type,
                                          strerror(-r),
                                          fs_context_message(context_fd, message, sizeof(message)));
        }
        r = fs_context_mount(context_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to make file system %s: %m%s", type,
                                  fs_context_message(context_fd, message, sizeof(message)));
        *ret_fd = r;
        return 0;
}
