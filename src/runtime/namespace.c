/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/namespace.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

static const struct {
        char name[8];
        int flag;
} namespace_types[_NAMESPACE_MAX] = {
                [NAMESPACE_PID] = {"pid", CLONE_NEWPID},
                [NAMESPACE_NETWORK] = {"network", CLONE_NEWNET},
                [NAMESPACE_MOUNT] = {"mount", CLONE_NEWNS},
                [NAMESPACE_IPC] = {"ipc", CLONE_NEWIPC},
                [NAMESPACE_UTS] = {"uts", CLONE_NEWUTS},
                [NAMESPACE_USER] = {"user", CLONE_NEWUSER},
                [NAMESPACE_CGROUP] = {"cgroup", CLONE_NEWCGROUP},
                [NAMESPACE_TIME] = {"time", 0x00000080 /* CLONE_NEWTIME */},
};

const char *namespace_type_to_string(NamespaceType type) {
        assert(type < _NAMESPACE_MAX);
        return namespace_types[type].name;
}

int namespace_type_flag(NamespaceType type) {
        assert(type < _NAMESPACE_MAX);
        return namespace_types[type].flag;
}

NamespaceType namespace_type_from_string(const char *s) {
        for (NamespaceType i = 0; i < _NAMESPACE_MAX; i++)
                if (streq(namespace_types[i].name, s))
                        return i;
        return _NAMESPACE_MAX;
}

int namespace_open(NamespaceType type, const char *path, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the %s namespace %s: %m",
                                  namespace_type_to_string(type), path);
        if (ioctl(fd, NS_GET_NSTYPE) != namespace_type_flag(type))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not a %s namespace", path,
                                  namespace_type_to_string(type));
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int namespaces_enter(const SpecNamespace namespaces[_NAMESPACE_MAX], unsigned mask, Error *e) {
        int flags = 0, r;

        for (NamespaceType i = 0; i < _NAMESPACE_MAX; i++) {
                _cleanup_close_ int fd = -1;

                if (!(mask & (1U << i)) || !namespaces[i].set)
                        continue;
                if (!namespaces[i].path) {
                        flags |= namespace_type_flag(i);
                        continue;
                }
                r = namespace_open(i, namespaces[i].path, &fd, e);
                if (r != 0)
                        return r;
                if (setns(fd, namespace_type_flag(i)) < 0)
                        return error_setf(e, -errno, "Failed to join the %s namespace %s: %m",
                                          namespace_type_to_string(i), namespaces[i].path);
        }
        if (flags != 0 && unshare(flags) < 0)
                return error_setf(e, -errno, "Failed to make namespaces: %m");
        return 0;
}
