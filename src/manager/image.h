/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An image: a name in a namespace for a digest in the content store, and, once unpacked, for the
 * snapshot of its topmost layer. */

#include <jansson.h>

#include "manager/object.h"

typedef struct ImageConfig ImageConfig; /* image/config.h */

typedef struct Image {
        Object object; /* name: the normalised reference */
        char *digest, *media_type;
        char *manifest_digest, *config_digest;
        uint64_t size; /* of the blobs that it keeps, compressed */
        bool unpacked;
        int64_t snapshot;  /* row of the topmost layer; 0: none (not unpacked, or no layers) */
        json_t *labels;    /* {key: value} */
        json_t *platforms; /* array of strings: those whose content is there */
        uint64_t created_at, updated_at;
        bool damaged;     /* a blob that it needs is, or is gone (manager/content.h) */
        bool was_damaged; /* before the last look at all */
        char **volumes;   /* see image_volumes() */
        bool volumes_known;
} Image;

static inline Image *IMAGE(Object *o) {
        assert(!o || o->type == OBJECT_IMAGE);
        return (Image *) o;
}

/* False for what is no image to run but, as a checkpoint, a document to be kept as a whole: no
 * manifest can be chosen from it. */
static inline bool image_has_config(const Image *i) {
        return !streq(i->config_digest, i->digest);
}

Image *image_free(Image *i);
DEFINE_CLEANUP(Image *, image_free);

/* Normalises reference and finds it (A1.33). CTR_INVALID_ARGUMENT, CTR_NOT_FOUND with a sentence.
 */
int image_find(Manager *m, const char *namespace, const char *reference, Image **ret, Error *e);

/* Removes the name; what it alone needed is collected in the background. With a callback: told when
 * that is done too (A1.9); the object given to it is NULL. */
int image_delete(Image *i, Callback callback, void *userdata, Error *e);

/* Takes over the content and the labels of new, which is freed by its owner. */
void image_replace(Image *i, Image *new);

/* Replaces all labels. */
int image_set_labels(Image *i, json_t *labels, Error *e);

/* A new name, normalised here, for what i stands for. An image that has it already is replaced;
 * what only it needed is collected. */
int image_tag(Image *i, const char *reference, Image **ret, Error *e);

typedef struct ImageUsage {
        uint64_t content_bytes;  /* blobs */
        uint64_t snapshot_bytes; /* layers as extracted */
        uint64_t shared_bytes;   /* of both, what other images need as well */
        uint64_t containers;     /* that were made from it */
} ImageUsage;

int image_usage(Image *i, ImageUsage *ret, Error *e);

/* Which images images_prune() removes. */
typedef struct PruneRequest {
        const char *namespace;
        bool (*matches)(const Image *i, void *userdata); /* NULL: all */
        void *userdata;
        uint64_t before; /* only those that are older; 0: all */
} PruneRequest;

/* Removes the images that no container was made from, in one transaction. *ret: array of their
 * names. callback as in image_delete(). */
int images_prune(Manager *m, const PruneRequest *request, Callback callback, void *userdata,
                 json_t **ret, Error *e);

/* The parsed configuration; what is no image to run is CTR_INVALID_ARGUMENT. */
int image_read_config(Image *i, ImageConfig **ret, Error *e);

/* The paths that its configuration declares to be volumes, sorted; they stay the image's. */
int image_volumes(Image *i, char *const **ret, Error *e);

/* New strings with the documents as they are in the content store. */
int image_read_documents(Image *i, char **ret_manifest, char **ret_config, Error *e);
