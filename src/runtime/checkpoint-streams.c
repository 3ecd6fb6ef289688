/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/strv.h"
#include "runtime/checkpoint.h"

#define TTY_MAJOR_MIN 136U /* UNIX98 pseudo terminals */
#define TTY_MAJOR_MAX 143U
#define NAME_MAX_SIZE 64U

static bool is_terminal(const struct statx *st) {
        return S_ISCHR(st->stx_mode) && st->stx_rdev_major >= TTY_MAJOR_MIN &&
               st->stx_rdev_major <= TTY_MAJOR_MAX;
}

/* A fifo with a name is a file. */
static bool is_pipe(const struct statx *st, const char *path) {
        char target[16] = "";

        return S_ISFIFO(st->stx_mode) && readlink(path, target, sizeof(target) - 1) > 0 &&
               startswith(target, "pipe:");
}

static void name_resource(const struct statx *st, const char *path,
                          char buf[static NAME_MAX_SIZE]) {
        unsigned long inode = st->stx_ino;

        if (S_ISSOCK(st->stx_mode))
                (void) snprintf(buf, NAME_MAX_SIZE, "socket:[%lu]", inode);
        else if (is_terminal(st))
                (void) snprintf(buf, NAME_MAX_SIZE, "tty[%lx:%lx]",
                                (unsigned long) makedev(st->stx_rdev_major, st->stx_rdev_minor),
                                (unsigned long) makedev(st->stx_dev_major, st->stx_dev_minor));
        else if (is_pipe(st, path))
                (void) snprintf(buf, NAME_MAX_SIZE, "pipe:[%lu]", inode);
        else
                (void) snprintf(buf, NAME_MAX_SIZE, "file[%x:%lx]", (unsigned) st->stx_mnt_id,
                                inode);
}

int checkpoint_name_streams(pid_t pid, char *names[static 3], Error *e) {
        for (int i = 0; i < 3; i++) {
                char path[64], name[NAME_MAX_SIZE];
                bool open = true;
                struct statx st;
                int r;

                (void) snprintf(path, sizeof(path), "/proc/%i/fd/%i", pid, i);
                if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0) {
                        if (errno != ENOENT)
                                return error_setf(e, -errno, "Failed to look at %s: %m", path);
                        open = false;
                } else
                        name_resource(&st, path, name);
                r = free_and_strdup(&names[i], open ? name : NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}
