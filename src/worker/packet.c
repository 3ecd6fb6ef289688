/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/packet.h"

json_t *pack_descriptor(const Descriptor *d) {
        return json_pack("{s:s, s:s, s:I}", "digest", DIGEST_STRING(&d->digest), "media_type",
                         d->media_type, "size", (json_int_t) d->size);
}

json_t *pack_blob_progress(const char *kind, const Descriptor *d, const char *phase,
                           uint64_t offset) {
        return json_pack("{s:s+, s:s, s:I, s:I}", "ref", kind, DIGEST_STRING(&d->digest), "phase",
                         phase, "offset", (json_int_t) offset, "total", (json_int_t) d->size);
}
