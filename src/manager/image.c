/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/image.h"

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

Image *image_free(Image *i) {
        if (!i)
                return NULL;
        object_done(&i->object);
        free(i->digest);
        free(i->media_type);
        free(i->manifest_digest);
        free(i->config_digest);
        json_decref(i->labels);
        json_decref(i->platforms);
        strv_free(i->volumes);
        free(i);
        return NULL;
}

int image_find(Manager *m, const char *namespace, const char *reference, Image **ret, Error *e) {
        _cleanup_free_ char *name = NULL;
        Object *o;
        int r;

        assert(m && namespace && reference && ret);

        r = reference_normalize(reference, &name, e);
        if (r != 0)
                return r;
        o = object_find(m, OBJECT_IMAGE, namespace, name);
        if (!o)
                return error_setf(e, CTR_NOT_FOUND, "There is no image \"%s\" in namespace \"%s\"",
                                  name, namespace);
        *ret = IMAGE(o);
        return 0;
}

int image_delete(Image *i, Callback callback, void *userdata, Error *e) {
        Manager *m = i->object.manager;
        int r;

        r = db_image_delete(m->db, i->object.namespace, i->object.name, e);
        if (r != 0)
                return r;
        image_free(i);
        return sweeper_collect(m->sweeper, callback, userdata, e);
}

#define SWAP(a, b)                                                                                 \
        do {                                                                                       \
                __typeof__(a) swapped = (a);                                                       \
                                                                                                   \
                (a) = (b);                                                                         \
                (b) = swapped;                                                                     \
        } while (false)

void image_replace(Image *i, Image *new) {
        SWAP(i->digest, new->digest);
        SWAP(i->media_type, new->media_type);
        SWAP(i->manifest_digest, new->manifest_digest);
        SWAP(i->config_digest, new->config_digest);
        SWAP(i->labels, new->labels);
        SWAP(i->platforms, new->platforms);
        SWAP(i->volumes, new->volumes);
        SWAP(i->volumes_known, new->volumes_known);
        i->size = new->size;
        i->unpacked = new->unpacked;
        i->snapshot = new->snapshot;
        i->updated_at = new->updated_at;
        object_mark_dirty(&i->object);
}

int image_set_labels(Image *i, json_t *labels, Error *e) {
        uint64_t now = now_realtime();
        int r;

        r = db_image_set_labels(i->object.manager->db, i, labels, now, e);
        if (r != 0)
                return r;
        json_incref(labels);
        json_decref(i->labels);
        i->labels = labels;
        i->updated_at = now;
        object_mark_dirty(&i->object);
        return 0;
}

/* A new, unlinked image with another name and the content of i. */
static int image_copy(const Image *i, const char *name, Image **ret) {
        _cleanup_(image_freep) Image *new = calloc(1, sizeof(Image));
        int r;

        if (!new)
                return -ENOMEM;
        r = object_init(&new->object, i->object.manager, OBJECT_IMAGE, i->object.namespace, name);
        if (r < 0)
                return r;
        if (free_and_strdup(&new->digest, i->digest) < 0 ||
            free_and_strdup(&new->media_type, i->media_type) < 0 ||
            free_and_strdup(&new->manifest_digest, i->manifest_digest) < 0 ||
            free_and_strdup(&new->config_digest, i->config_digest) < 0)
                return -ENOMEM;
        new->size = i->size;
        new->unpacked = i->unpacked;
        new->snapshot = i->snapshot;
        new->labels = json_incref(i->labels);
        new->platforms = json_incref(i->platforms);
        new->created_at = new->updated_at = now_realtime();
        *ret = TAKE_PTR(new);
        return 0;
}

static int tag_rows(Manager *m, const Image *i, const Image *new, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_image_put(m->db, new, NULL, e);
        if (r == 0)
                r = db_image_share_blobs(m->db, new, i->object.name, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

int image_tag(Image *i, const char *reference, Image **ret, Error *e) {
        _cleanup_(image_freep) Image *new = NULL;
        _cleanup_free_ char *name = NULL;
        Manager *m = i->object.manager;
        Object *old;
        int r;

        r = reference_normalize(reference, &name, e);
        if (r != 0)
                return r;
        old = object_find(m, OBJECT_IMAGE, i->object.namespace, name);
        if (old == &i->object) {
                *ret = i;
                return 0;
        }
        r = image_copy(i, name, &new);
        if (r < 0)
                return r;
        if (old)
                new->created_at = IMAGE(old)->created_at;
        r = tag_rows(m, i, new, e);
        if (r != 0)
                return r;
        if (old) {
                image_replace(IMAGE(old), new);
                *ret = IMAGE(old);
                return sweeper_collect(m->sweeper, NULL, NULL, e);
        }
        r = object_link(&new->object);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(new);
        return 0;
}

static int read_document(Manager *m, const char *digest, size_t max, char **ret, Error *e) {
        const char *hex = startswith(digest, "sha256:");
        int r;

        if (!hex)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "Unsupported digest %s", digest);
        r = file_read_at(m->content_fd, hex, max, ret, NULL);
        if (r == -ENOENT)
                return error_setf(e, CTR_DATA_LOSS, "The blob %s is missing in the content store",
                                  digest);
        if (r < 0)
                return error_setf(e, r, "Failed to read the blob %s: %m", digest);
        return 0;
}

int image_read_documents(Image *i, char **ret_manifest, char **ret_config, Error *e) {
        _cleanup_free_ char *manifest = NULL;
        int r;

        r = read_document(i->object.manager, i->manifest_digest, MANIFEST_SIZE_MAX, &manifest, e);
        if (r != 0)
                return r;
        r = read_document(i->object.manager, i->config_digest, CONFIG_SIZE_MAX, ret_config, e);
        if (r != 0)
                return r;
        *ret_manifest = TAKE_PTR(manifest);
        return 0;
}

int image_read_config(Image *i, ImageConfig **ret, Error *e) {
        _cleanup_free_ char *manifest = NULL, *config = NULL;
        int r;

        r = image_read_documents(i, &manifest, &config, e);
        if (r != 0)
                return r;
        return image_config_parse(config, strlen(config), i->config_digest, ret, e);
}

int image_volumes(Image *i, char *const **ret, Error *e) {
        int r;

        if (!i->volumes_known) {
                _cleanup_(image_config_freep) ImageConfig *config = NULL;

                r = image_read_config(i, &config, e);
                if (r != 0)
                        return r;
                strv_free(i->volumes);
                i->volumes = TAKE_PTR(config->volumes);
                i->volumes_known = true;
        }
        *ret = i->volumes;
        return 0;
}
