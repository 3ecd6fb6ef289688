/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/volatile.h"

#include <fcntl.h>

#include "basic/fs.h"

#define MARK_DIRECTORY "work/incompat"
#define MARK_NAME      "volatile"
#define BOOT_FILE      "boot-id"
#define BOOT_FILE_MAX  64U
#define BOOT_ID        "/proc/sys/kernel/random/boot_id"

static int mark_remove(int work_fd, const char *boot_id, Error *e) {
        _cleanup_free_ char *used_in = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        fd = openat(work_fd, MARK_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0
                                       : error_setf(e, -errno, "Failed to open %s: %m",
                                                    MARK_DIRECTORY);
        if (faccessat(fd, MARK_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0
                                       : error_setf(e, -errno, "Failed to look for %s: %m",
                                                    MARK_NAME);
        r = file_read_at(work_fd, BOOT_FILE, BOOT_FILE_MAX, &used_in, NULL);
        if (r < 0 && r != -ENOENT)
                return error_setf(e, r, "Failed to read %s: %m", BOOT_FILE);
        if (!streq_ptr(used_in, boot_id))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The root file system is volatile and did not survive the end "
                                  "of the boot that it was used in");
        r = tree_remove_at(fd, MARK_NAME);
        return r < 0 ? error_setf(e, r, "Failed to remove the mark of a volatile overlay: %m") : 0;
}

int volatile_prepare(const char *work, bool is_volatile, Error *e) {
        _cleanup_free_ char *boot_id = NULL;
        _cleanup_close_ int work_fd = -1;
        int r;

        work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (work_fd < 0)
                return error_setf(e, -errno, "Failed to open the work directory %s: %m", work);
        r = file_read_at(AT_FDCWD, BOOT_ID, BOOT_FILE_MAX, &boot_id, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", BOOT_ID);
        r = mark_remove(work_fd, boot_id, e);
        if (r != 0 || !is_volatile)
                return r;
        r = file_write_atomic_at(work_fd, BOOT_FILE, boot_id, strlen(boot_id), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to write %s: %m", BOOT_FILE) : 0;
}
