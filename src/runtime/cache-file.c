/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/cache-file.h"

#include <fcntl.h>
#include <unistd.h>

#include "basic/fs.h"

int cache_file_write(int dir_fd, const char *name, const struct iovec *parts, size_t n_parts) {
        _cleanup_close_ int fd = -1;
        char path[64];
        int r;

        /* nameless until all is written: a temporary name could be somebody else's, too */
        fd = openat(dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        for (size_t i = 0; i < n_parts; i++) {
                r = fd_write_all(fd, parts[i].iov_base, parts[i].iov_len);
                if (r < 0)
                        return r;
        }
        /* a stale or damaged one is in the way of a good one */
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}
