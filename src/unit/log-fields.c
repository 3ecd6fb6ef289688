/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/log-fields.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>

#include "basic/fs.h"

#define UNITS_DIR   "/run/systemd/units"
#define FIELDS_SIZE 4096
#define NAME_PREFIX "log-extra-fields:"

/* The format, as journald reads it (src/journal/journald-context.c, unchanged since systemd 236):
 * for each field its length as a little-endian 64-bit number, then its bytes. */
int log_fields_write(const char *unit, const char *const *fields) {
        _cleanup_close_ int dir_fd = -1;
        char name[NAME_MAX + 1], data[FIELDS_SIZE];
        size_t size = 0;
        int n;

        n = snprintf(name, sizeof(name), NAME_PREFIX "%s", unit);
        if (n < 0 || (size_t) n >= sizeof(name))
                return -ENAMETOOLONG;
        for (size_t i = 0; fields[i]; i++) {
                size_t length = strlen(fields[i]);
                uint64_t le = htole64(length);

                if (sizeof(data) - size < sizeof(le) + length)
                        return -E2BIG;
                memcpy(data + size, &le, sizeof(le));
                memcpy(data + size + sizeof(le), fields[i], length);
                size += sizeof(le) + length;
        }
        dir_fd = open(UNITS_DIR, O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        return file_write_atomic_at(dir_fd, name, data, size, 0644, 0);
}

void log_fields_remove(const char *unit) {
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), UNITS_DIR "/" NAME_PREFIX "%s", unit);
        (void) unlink(path);
}
