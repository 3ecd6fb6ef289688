/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define DATA_MAX (UINT64_C(1) << 30)
/* a descriptor per layer and its tree, and some */
#define FILES_MAX 4096

#define CAP(c) (UINT64_C(1) << (c))

/* What foreign files need. CAP_SYS_ADMIN is the price of overlayfs's marker for opaque directories,
 * trusted.overlay.opaque; what else it would allow is not in the list of system calls. */
#define CAPS_MAKE                                                                                  \
        (CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) |              \
         CAP(CAP_MKNOD) | CAP(CAP_SETFCAP))
#define CAPS_EXTRACT (CAPS_MAKE | CAP(CAP_SYS_ADMIN))
#define CAPS_REMOVE  (CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER))
#define CAPS_READ    CAP(CAP_DAC_READ_SEARCH)

/* Everything read-only, and the store through its own mount. The latter stays detached: only its
 * descriptor leads there. */
static int separate_mounts(int *root_fd, Error *e) {
        struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID},
                          store = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                               MOUNT_ATTR_NOEXEC};
        _cleanup_close_ int fd = -1, dir = -1;

        if (root_fd)
                fd = open_tree(*root_fd, "",
                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
        if (root_fd && fd < 0)
                return error_setf(e, -errno, "Failed to make a mount of the store: %m");
        if (root_fd &&
            mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &store, sizeof(store)) < 0)
                return error_setf(e, -errno, "Failed to restrict the mount of the store: %m");
        if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return error_setf(e, -errno, "Failed to make a mount namespace: %m");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)) < 0)
                return error_setf(e, -errno, "Failed to make the file system read-only: %m");
        if (!root_fd)
                return 0;

        dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return error_setf(e, -errno, "Failed to open the store: %m");
        fd_close(*root_fd);
        *root_fd = TAKE_FD(dir);
        return 0;
}

static int ids_fd = -1; /* of the user namespace to enter; -1: none */

void sandbox_use_ids(int userns_fd) {
        ids_fd = userns_fd;
}

/* With all capabilities in it, and over nothing else any more. */
static int enter_user_namespace(Error *e) {
        if (ids_fd < 0)
                return 0;
        if (setns(ids_fd, CLONE_NEWUSER) < 0)
                return error_setf(e, -errno, "Failed to enter the user namespace: %m");
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become root of the user namespace: %m");
        /* The container has all rights over who is in there. The change of ids has made this what
         * fs.suid_dumpable says. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to keep others out: %m");
        return 0;
}

static int drop_capabilities(uint64_t keep, Error *e) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return error_setf(e, -errno, "Failed to read the capabilities: %m");
        for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
                if (!(keep & CAP(c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                        return error_setf(e, -errno, "Failed to drop capability %u: %m", c);
        for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
                data[i].permitted &= (uint32_t) (keep >> (32 * i));
                data[i].effective = data[i].permitted;
                data[i].inheritable = 0;
        }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
            syscall(SYS_capset, &header, data) < 0)
                return error_setf(e, -errno, "Failed to drop capabilities: %m");
        return 0;
}

static int set_limit(int resource, rlim_t value, Error *e) {
        struct rlimit limit;

        if (getrlimit(resource, &limit) < 0)
                return error_setf(e, -errno, "Failed to read a resource limit: %m");
        limit.rlim_max = MIN_OF(limit.rlim_max, value);
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(resource, &limit) < 0)
                return error_setf(e, -errno, "Failed to set a resource limit: %m");
        return 0;
}

static int set_limits(Error *e) {
        int r;

        /* few threads allocate much: more arenas would only keep memory back */
        (void) mallopt(M_ARENA_MAX, 2);
        r = set_limit(RLIMIT_CORE, 0, e);
        if (r == 0)
                r = set_limit(RLIMIT_NOFILE, FILES_MAX, e);
        if (r == 0 && !BUILT_WITH_SANITIZER)
                r = set_limit(RLIMIT_DATA, DATA_MAX, e);
        return r;
}

int sandbox_enter(SandboxFlags flags, int *root_fd, Error *e) {
        uint64_t keep = (flags & SANDBOX_EXTRACT ? CAPS_EXTRACT : 0) |
                        (flags & SANDBOX_MAKE ? CAPS_MAKE : 0) |
                        (flags & SANDBOX_REMOVE ? CAPS_REMOVE : 0) |
                        (flags & SANDBOX_READ ? CAPS_READ : 0) |
                        (flags & SANDBOX_MARKS ? CAP(CAP_SYS_ADMIN) : 0);
        int r;

        assert(!root_fd || *root_fd >= 0);

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to set no_new_privs: %m");
        r = set_limits(e);
        if (r == 0 && geteuid() == 0) {
                r = separate_mounts(root_fd, e);
                if (r == 0)
                        r = enter_user_namespace(e);
                if (r == 0)
                        r = drop_capabilities(keep, e);
        }
        if (r == 0)
                r = sandbox_restrict_paths(flags, root_fd ? *root_fd : -1, e);
        if (r == 0)
                r = sandbox_filter_system_calls(flags, e);
        return r;
}
