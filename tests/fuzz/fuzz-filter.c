/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A filter as any client may send it (lines are alternatives): refused with a sentence, or one that
 * answers for any object. */

#include "basic/filter.h"
#include "basic/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every field is there and is its own path, so that the input decides what matches. */
static bool lookup(const void *object, const FilterField *field, const char **ret) {
        if (field->n == 0 || field->n > FILTER_NAMES_MAX || !field->names[field->n - 1])
                abort();
        *ret = field->rests[0];
        return strlen(field->rests[0]) % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_strv_free_ char **alternatives = NULL;
        _cleanup_(filter_freep) Filter *f = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        char *line, *rest;
        int r;

        text = rest = strndup((const char *) data, size);
        if (!text)
                return 0;
        while ((line = strsep(&rest, "\n")))
                if (strv_extend(&alternatives, line) < 0)
                        return 0;
        r = filter_new(alternatives, &f, &e);
        if (r == 0)
                (void) filter_matches(f, lookup, NULL);
        else if (r != -ENOMEM && (r != CTR_INVALID_ARGUMENT || isempty(e.text) || f))
                abort();
        return 0;
}
