/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* config.json comes from whoever makes a bundle. */

#include "basic/log.h"
#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(spec_freep) Spec *s = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        log_set_max_level(LOG_CRIT);
        text = malloc(size + 1);
        if (!text)
                return 0;
        memcpy(text, data, size);
        r = spec_parse_text(text, size, "config.json", &s, &e);
        if (r == 0 && s->seccomp)
                r = seccomp_filter_check(s->seccomp, &e);
        /* a failure has its sentence, a success none */
        if ((r != 0) != (e.code != 0) || (r != 0 && r != -ENOMEM && !e.text))
                abort();
        return 0;
}
