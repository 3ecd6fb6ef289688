/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A reference as anybody may type it: refused, or one whose normal and familiar forms both read as
 * the same again. */

#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = NULL, *normal = NULL, *familiar = NULL, *again = NULL,
                            *back = NULL;
        _cleanup_reference_ Reference r = {};
        _cleanup_error_ Error e = ERROR_NULL;

        text = strndup((const char *) data, size);
        if (!text)
                return 0;
        if (reference_parse(text, &r, &e) != 0) {
                if (isempty(e.text))
                        abort();
                return 0;
        }
        normal = reference_to_string(&r);
        familiar = reference_to_familiar_string(&r);
        if (reference_normalize(normal, &again, NULL) != 0 || !streq(normal, again) ||
            reference_normalize(familiar, &back, NULL) != 0 || !streq(normal, back))
                abort();
        return 0;
}
