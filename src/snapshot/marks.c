/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/marks.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

bool mark_is_whiteout(const struct stat *st) {
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

bool mark_is_no_attribute(const char *name) {
        return startswith(name, "trusted.overlay.") || startswith(name, "user.overlay.") ||
               (startswith(name, "security.") && !streq(name, "security.capability"));
}

bool mark_is_opaque(int dir_fd) {
        char value;

        return fgetxattr(dir_fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}
