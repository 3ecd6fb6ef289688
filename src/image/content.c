/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/content.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"

int content_open(int root_fd) {
        static const char *const directories[] = {"sha256", "sha512", "ingest"};
        _cleanup_close_ int fd = -1;

        fd = dir_open_make_at(root_fd, CONTENT_DIRECTORY, 0700);
        if (fd < 0)
                return fd;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                if (mkdirat(fd, directories[i], 0700) < 0 && errno != EEXIST)
                        return -errno;
        return TAKE_FD(fd);
}

const char *content_path(const Digest *d, char buf[static CONTENT_PATH_SIZE]) {
        (void) snprintf(buf, CONTENT_PATH_SIZE, "%s/%s", digest_algorithm_to_string(d->algorithm),
                        d->hex);
        return buf;
}

int content_open_blob(int content_fd, const Digest *d, int *ret_fd, uint64_t *ret_size, Error *e) {
        _cleanup_close_ int fd = -1;
        char path[CONTENT_PATH_SIZE];
        struct stat st;

        assert(d && ret_fd);

        fd = openat(content_fd, content_path(d, path),
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
                return CTR_NOT_FOUND;
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the blob %s: %m", path);
        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to read the size of the blob %s: %m", path);
        if (!S_ISREG(st.st_mode))
                return error_setf(e, CTR_DATA_LOSS, "The blob %s is not a regular file", path);
        *ret_fd = TAKE_FD(fd);
        if (ret_size)
                *ret_size = (uint64_t) st.st_size;
        return 0;
}

int content_read_blob(int content_fd, const Digest *d, size_t max, char **ret_data,
                      size_t *ret_size, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = content_open_blob(content_fd, d, &fd, NULL, e);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, r, "The blob %s is not in the store", DIGEST_STRING(d));
        if (r != 0)
                return r;
        r = fd_read_all(fd, max, ret_data, ret_size);
        if (r == -EFBIG)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The blob %s is larger than %zu bytes",
                                  DIGEST_STRING(d), max);
        if (r < 0)
                return error_setf(e, r, "Failed to read the blob %s: %m", DIGEST_STRING(d));
        return 0;
}

int content_remove_blob(int content_fd, const Digest *d) {
        char path[CONTENT_PATH_SIZE];

        if (unlinkat(content_fd, content_path(d, path), 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}
