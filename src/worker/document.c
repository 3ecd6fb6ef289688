/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/document.h"

#include "image/content.h"
#include "image/hash.h"

void text_clear(Text *t) {
        free(t->data);
        free(t->media_type);
        *t = (Text){};
}

int text_check(const Text *t, const Digest *wanted, const char *from, Error *e) {
        Digest actual;
        int r;

        r = hash_buffer(wanted->algorithm, t->data, t->size, &actual);
        if (r < 0)
                return error_setf(e, r, "Failed to compute a digest: %m");
        if (!digest_equal(&actual, wanted))
                return error_setf(e, CTR_DATA_LOSS, "%s content with the digest %s instead of %s",
                                  from, DIGEST_STRING(&actual), DIGEST_STRING(wanted));
        return 0;
}

int text_read_stored(int content_fd, const Digest *d, Text *ret, Error *e) {
        _cleanup_(text_clear) Text text = {};
        int r;

        r = content_read_blob(content_fd, d, MANIFEST_SIZE_MAX, &text.data, &text.size, e);
        if (r == 0)
                r = text_check(&text, d, "The store has", e);
        if (r != 0)
                return r;
        *ret = text;
        text = (Text){};
        return 0;
}
