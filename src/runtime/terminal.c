/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/terminal.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "runtime/mount.h"
#include "runtime/path.h"

static int open_pair(int root_fd, Terminal *t, Error *e) {
        _cleanup_close_ int ptmx_fd = -1, master_fd = -1;
        struct statfs sfs;
        int unlock = 0;

        /* by descriptor first: nothing is opened for real before it is known to be a devpts */
        ptmx_fd = path_open_straight(root_fd, "/dev/pts/ptmx");
        if (ptmx_fd < 0)
                return error_setf(e, ptmx_fd, "Failed to open /dev/pts/ptmx: %m");
        if (fstatfs(ptmx_fd, &sfs) < 0)
                return error_setf(e, -errno, "Failed to stat /dev/pts/ptmx: %m");
        if (sfs.f_type != DEVPTS_SUPER_MAGIC)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "A terminal needs a devpts file system on /dev/pts");
        master_fd = path_open(root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
        if (master_fd < 0)
                return error_setf(e, master_fd, "Failed to allocate a terminal: %m");
        if (ioctl(master_fd, TIOCSPTLCK, &unlock) < 0)
                return error_setf(e, -errno, "Failed to unlock the terminal: %m");
        t->slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (t->slave_fd < 0)
                return error_setf(e, -errno, "Failed to open the terminal: %m");
        t->master_fd = TAKE_FD(master_fd);
        return 0;
}

int terminal_open(int root_fd, uint16_t columns, uint16_t rows, Terminal *ret, Error *e) {
        struct winsize size = {.ws_col = columns, .ws_row = rows};
        Terminal t = {-1, -1};
        int r;

        r = open_pair(root_fd, &t, e);
        if (r == 0 && (columns != 0 || rows != 0) && ioctl(t.master_fd, TIOCSWINSZ, &size) < 0)
                r = error_setf(e, -errno, "Failed to set the size of the terminal: %m");
        if (r != 0) {
                fd_close(t.master_fd);
                fd_close(t.slave_fd);
                return r;
        }
        *ret = t;
        return 0;
}

int terminal_bind_console(int root_fd, const Terminal *t, bool make, Error *e) {
        _cleanup_close_ int target_fd = -1, mount_fd = -1;
        int r;

        target_fd = path_open_straight(root_fd, "/dev/console");
        if (target_fd == -ENOENT && !make)
                return 0;
        if (target_fd == -ENOENT) {
                target_fd = path_make_mountpoint(root_fd, "/dev/console", false);
                if (target_fd >= 0) {
                        /* a link that somebody who shares /dev puts there meanwhile would be
                         * followed (CVE-2025-52565) */
                        (void) fd_close(target_fd);
                        target_fd = path_open_straight(root_fd, "/dev/console");
                }
        }
        if (target_fd < 0)
                return error_setf(e, target_fd, "Failed to make /dev/console: %m");
        /* the very terminal, whatever name it has */
        mount_fd = mount_clone(t->slave_fd, false);
        r = mount_fd < 0 ? mount_fd : mount_attach(mount_fd, target_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to bind the terminal on /dev/console: %m");
        return 0;
}
