/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parts of packets that several jobs have (docs/worker-protocol.md). Each is a new object, or NULL
 * if memory is short. */

#include "basic/json.h"
#include "image/manifest.h"

/* {digest, media_type, size} */
json_t *pack_descriptor(const Descriptor *d);

/* {ref, phase, offset, total}; kind starts the ref, as in "layer-". */
json_t *pack_blob_progress(const char *kind, const Descriptor *d, const char *phase,
                           uint64_t offset);
