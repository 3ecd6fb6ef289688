/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An image: a name in a namespace for a digest in the content store, and, once unpacked, for the
 * snapshot of its topmost layer. */

#include <jansson.h>

#include "manager/object.h"

typedef struct Image {
        Object object; /* name: the normalised reference */
        char *digest, *media_type;
        char *manifest_digest, *config_digest;
        uint64_t size; /* of all blobs, compressed */
        bool unpacked;
        int64_t snapshot; /* row of the topmost layer; 0: none (not unpacked, or no layers) */
        json_t *labels;   /* {key: value} */
        uint64_t created_at, updated_at;
} Image;

static inline Image *IMAGE(Object *o) {
        assert(!o || o->type == OBJECT_IMAGE);
        return (Image *) o;
}

Image *image_free(Image *i);
DEFINE_CLEANUP(Image *, image_free);

/* Normalises reference and finds it (A1.33). CTR_INVALID_ARGUMENT, CTR_NOT_FOUND with a sentence.
 */
int image_find(Manager *m, const char *namespace, const char *reference, Image **ret, Error *e);

/* Removes the name; what it alone needed is collected in the background. With a callback: told when
 * that is done too (A1.9); the object given to it is NULL. */
int image_delete(Image *i, Callback callback, void *userdata, Error *e);

/* New strings with the documents as they are in the content store. */
int image_read_documents(Image *i, char **ret_manifest, char **ret_config, Error *e);
