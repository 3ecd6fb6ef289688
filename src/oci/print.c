/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/print.h"

int print_json(json_t *j, size_t flags, Error *e) {
        _cleanup_free_ char *text = j ? json_dumps(j, flags) : NULL;

        if (!text)
                return -ENOMEM;
        return puts(text) >= 0 && fflush(stdout) >= 0
                               ? 0
                               : error_setf(e, -errno, "Failed to write to standard output: %m");
}
