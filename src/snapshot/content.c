/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/content.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BUFFER_SIZE (256U * 1024)

/* For file systems between which the kernel does not copy. */
static int copy_by_hand(int from_fd, int to_fd, off_t offset, off_t end, Error *e) {
        _cleanup_free_ char *buffer = malloc(BUFFER_SIZE);

        if (!buffer)
                return -ENOMEM;
        while (offset < end) {
                ssize_t n, written = 0;

                n = pread(from_fd, buffer, MIN_OF((size_t) (end - offset), (size_t) BUFFER_SIZE),
                          offset);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return error_setf(e, n < 0 ? -errno : -EIO, "Failed to read it: %m");
                while (written < n) {
                        ssize_t k = pwrite(to_fd, buffer + written, (size_t) (n - written),
                                           offset + written);

                        if (k < 0 && errno == EINTR)
                                continue;
                        if (k < 0)
                                return error_setf(e, -errno, "Failed to write a copy of it: %m");
                        written += k;
                }
                offset += n;
        }
        return 0;
}

static int copy_range(int from_fd, int to_fd, off_t offset, off_t end, Error *e) {
        while (offset < end) {
                off_t in = offset, out = offset;
                ssize_t n;

                n = copy_file_range(from_fd, &in, to_fd, &out, (size_t) (end - offset), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EXDEV && errno != EOPNOTSUPP && errno != ENOSYS &&
                    errno != EINVAL)
                        return error_setf(e, -errno, "Failed to copy it: %m");
                if (n <= 0)
                        return copy_by_hand(from_fd, to_fd, offset, end, e);
                offset += n;
        }
        return 0;
}

int content_copy(int from_fd, int to_fd, off_t size, Error *e) {
        off_t data = 0;
        int r = 0;

        if (ioctl(to_fd, FICLONE, from_fd) >= 0)
                return 0;
        while (r == 0 && data < size && (data = lseek(from_fd, data, SEEK_DATA)) >= 0) {
                off_t hole = lseek(from_fd, data, SEEK_HOLE);

                if (hole < 0)
                        return error_setf(e, -errno, "Failed to read it: %m");
                r = copy_range(from_fd, to_fd, data, MIN_OF(hole, size), e);
                data = hole;
        }
        /* nothing but a hole until the end */
        if (data < 0 && errno != ENXIO)
                return error_setf(e, -errno, "Failed to read it: %m");
        if (r == 0 && ftruncate(to_fd, size) < 0)
                return error_setf(e, -errno, "Failed to set the size of its copy: %m");
        return r;
}
