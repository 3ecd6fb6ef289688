/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "bus/error.h"

bool fd_is_open_for(int fd, bool write) {
        int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;

        return flags >= 0 && !(flags & O_PATH) &&
               (mode == O_RDWR || mode == (write ? O_WRONLY : O_RDONLY));
}

bool fd_is_stream(int fd) {
        struct stat st;

        return fstat(fd, &st) >= 0 && (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ||
                                       S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode));
}

int bus_check_fd(int fd, bool write, sd_bus_error *error) {
        return fd_is_open_for(fd, write)
                               ? 0
                               : bus_error_invalid(error, "The descriptor is not open for %s",
                                                   write ? "writing" : "reading");
}

int bus_read_fd(sd_bus_message *m, bool write, int *ret, sd_bus_error *error) {
        int r;

        r = sd_bus_message_read_basic(m, 'h', ret);
        return r < 0 ? r : bus_check_fd(*ret, write, error);
}
