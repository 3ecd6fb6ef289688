/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/own-binary.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "basic/process.h"
#include "oci/context.h"

#define OWN_BINARY "/proc/self/exe"
#define SEALS      (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_protected(int fd) {
        struct statvfs st;

        return (fstatvfs(fd, &st) >= 0 && (st.f_flag & ST_RDONLY)) ||
               fcntl(fd, F_GET_SEALS) == SEALS;
}

/* For a user without rights, whose file this is. */
static int copy_sealed(int fd, int *ret_fd) {
        _cleanup_close_ int copy_fd = -1;
        struct stat st;
        off_t done = 0;

        if (fstat(fd, &st) < 0)
                return -errno;
        copy_fd = memfd_create(RUNTIME_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (copy_fd < 0)
                return -errno;
        while (done < st.st_size) {
                ssize_t n = sendfile(copy_fd, fd, &done, (size_t) (st.st_size - done));

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
        }
        if (fcntl(copy_fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = TAKE_FD(copy_fd);
        return 0;
}

/* *ret_fd is -1 if the file need not be protected. */
static int make_copy(int fd, int *ret_fd) {
        int copy_fd;

        copy_fd = executable_copy_readonly(fd);
        if (copy_fd >= 0) {
                *ret_fd = copy_fd;
                return 0;
        }
        if (copy_fd != -EPERM)
                return copy_fd;
        if (faccessat(AT_FDCWD, OWN_BINARY, W_OK, AT_EACCESS) < 0 && errno == EACCES) {
                *ret_fd = -1;
                return 0;
        }
        return copy_sealed(fd, ret_fd);
}

int own_binary_protect(char *argv[], Error *e) {
        _cleanup_close_ int fd = -1, copy_fd = -1;
        int r;

        fd = open(OWN_BINARY, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open " OWN_BINARY ": %m");
        if (is_protected(fd)) {
                /* what is executed by descriptor has a number for a name */
                (void) prctl(PR_SET_NAME, RUNTIME_NAME, 0, 0, 0);
                return 0;
        }
        r = make_copy(fd, &copy_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to make a read-only copy of " OWN_BINARY ": %m");
        if (copy_fd < 0)
                return 0;
        (void) syscall(SYS_execveat, copy_fd, "", argv, environ, AT_EMPTY_PATH);
        return error_setf(e, -errno, "Failed to execute the read-only copy of " OWN_BINARY ": %m");
}
