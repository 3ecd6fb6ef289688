/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A WWW-Authenticate header, and the configuration of registries: both are small grammars of our
 * own. */

#include "image/auth.h"
#include "image/registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(registries_freep) Registries *registries = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        Challenge c = {};

        text = strndup((const char *) data, size);
        if (!text)
                return 0;
        if (challenge_parse(text, &c, &e) == 0) {
                if (c.bearer && isempty(c.realm))
                        abort();
                challenge_clear(&c);
        } else if (isempty(e.text))
                abort();
        error_clear(&e);
        if (registries_parse(&registries, text, "sample", &e) != 0 && e.code <= 0)
                abort();
        return 0;
}
