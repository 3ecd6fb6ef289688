/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/lsm.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "basic/fs.h"

static bool apparmor_is_enabled(void) {
        _cleanup_free_ char *text = NULL;

        return file_read_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &text, NULL) >=
                               0 &&
               text[0] == 'Y';
}

static bool selinux_is_enabled(void) {
        return access("/sys/fs/selinux/enforce", F_OK) >= 0;
}

int lsm_check(const char *apparmor_profile, const char *selinux_label, const char *mount_label,
              Error *e) {
        if (apparmor_profile && !streq(apparmor_profile, "unconfined") && !apparmor_is_enabled())
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "process.apparmorProfile: AppArmor is not enabled here");
        if (!selinux_label && !mount_label)
                return 0;
        if (!selinux_is_enabled())
                return error_setf(e, CTR_NOT_IMPLEMENTED, "%s: SELinux is not enabled here",
                                  selinux_label ? "process.selinuxLabel" : "linux.mountLabel");
        return 0;
}

int lsm_open_proc(int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        struct statfs sfs;

        fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatfs(fd, &sfs) < 0)
                return error_setf(e, -errno, "Failed to open /proc: %m");
        if (sfs.f_type != PROC_SUPER_MAGIC)
                return error_setf(e, -ENODEV, "/proc is no proc file system");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int write_attribute(int proc_fd, const char *name, const char *value) {
        _cleanup_close_ int fd = -1;

        fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int apply_apparmor(int proc_fd, const char *profile) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (asprintf(&text, "exec %s", profile) < 0)
                return -ENOMEM;
        /* a directory of its own since 5.1, which other modules do not share */
        r = write_attribute(proc_fd, "thread-self/attr/apparmor/exec", text);
        return r == -ENOENT ? write_attribute(proc_fd, "thread-self/attr/exec", text) : r;
}

int lsm_apply(int proc_fd, const char *apparmor_profile, const char *selinux_label, Error *e) {
        int r;

        if (apparmor_profile) {
                r = apply_apparmor(proc_fd, apparmor_profile);
                /* "unconfined" where there is no AppArmor is no wish */
                if (r == -EINVAL && streq(apparmor_profile, "unconfined"))
                        r = 0;
                if (r < 0)
                        return error_setf(e, r == -ENOENT ? CTR_NOT_FOUND : r,
                                          "Failed to set process.apparmorProfile \"%.128s\": %s",
                                          apparmor_profile, strerror(-r));
        }
        if (selinux_label) {
                r = write_attribute(proc_fd, "thread-self/attr/exec", selinux_label);
                if (r < 0)
                        return error_setf(e, r, "Failed to set process.selinuxLabel \"%.128s\": %m",
                                          selinux_label);
        }
        return 0;
}
