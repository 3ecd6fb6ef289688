/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/image-commit.h"

#include <fcntl.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/content.h"
#include "manager/db.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define LAYERS_MAX    512
#define PLATFORMS_MAX 4096

/* Somebody else committed the same layer meanwhile: this tree is not needed. */
static void discard_tree(Manager *m, const char *directory) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (overlayfs_discard(m->snapshots_fd, directory, &e) != 0)
                log_warning("%s", error_text(&e));
        (void) sweeper_sweep(m->sweeper);
}

/* The rows that a transaction has made and whose trees have their place already: when it fails, the
 * numbers are given again, and the trees would be in the way. */
typedef struct Adopted {
        int64_t *ids;
        size_t n;
} Adopted;

static int adopted_add(Adopted *a, int64_t id) {
        int64_t *larger = reallocarray(a->ids, a->n + 1, sizeof(int64_t));

        if (!larger)
                return -ENOMEM;
        a->ids = larger;
        a->ids[a->n++] = id;
        return 0;
}

static int commit_layer(Manager *m, json_t *layer, int64_t parent, Adopted *adopted,
                        int64_t *ret_id, Error *e) {
        const char *chain_id, *directory = NULL;
        uint64_t bytes = 0, inodes = 0;
        int64_t id;
        int r;

        r = json_get_string(layer, "result.layers", "chain_id", &chain_id, e);
        if (r == 0)
                return error_setf(e, -EBADMSG, "The worker's result has a layer without chain_id");
        if (r > 0)
                r = json_get_string(layer, "result.layers", "directory", &directory, e);
        if (r >= 0)
                r = json_get_uint64(layer, "result.layers", "bytes", INT64_MAX, &bytes, e);
        if (r >= 0)
                r = json_get_uint64(layer, "result.layers", "inodes", INT64_MAX, &inodes, e);
        if (r < 0)
                return r;
        if (directory && (!startswith(directory, ".new-") || strchr(directory, '/')))
                return error_setf(e, -EBADMSG, "The worker names no layer: \"%s\"", directory);

        r = db_layer_find(m->db, chain_id, ret_id, e);
        if (r == 1 && directory)
                discard_tree(m, directory);
        if (r != 0)
                return r == 1 ? 0 : r;
        if (!directory)
                return error_setf(e, CTR_CONFLICT, "The layer %s has vanished", chain_id);
        r = db_layer_insert(m->db, chain_id, parent, bytes, inodes, &id, e);
        if (r != 0)
                return r;
        r = adopted_add(adopted, id);
        if (r < 0)
                return r;
        r = overlayfs_adopt(m->snapshots_fd, directory, (uint64_t) id, e);
        if (r != 0) {
                adopted->n--;
                return r;
        }
        *ret_id = id;
        return 0;
}

static int commit_layers(Manager *m, json_t *result, Adopted *adopted, int64_t *ret_top, Error *e) {
        json_t *layers, *layer;
        int64_t top = 0;
        size_t i;
        int r;

        r = json_get_array(result, "result", "layers", LAYERS_MAX, &layers, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no layers");
        json_array_foreach(layers, i, layer) {
                r = commit_layer(m, layer, top, adopted, &top, e);
                if (r != 0)
                        return r;
        }
        *ret_top = top;
        return 0;
}

static int digest_of(json_t *result, const char *member, char **ret, Error *e) {
        const char *digest;
        json_t *o;
        int r;

        r = json_get_object(result, "result", member, &o, e);
        if (r > 0)
                r = json_get_string(o, member, "digest", &digest, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no %s", member);
        return free_and_strdup(ret, digest);
}

static bool is_layer(json_t *result, const char *digest) {
        json_t *layer;
        size_t i;

        json_array_foreach(json_object_get(result, "layers"), i, layer)
                if (streq_ptr(json_string_value(json_object_get(layer, "digest")), digest))
                        return true;
        return false;
}

/* The blobs that the image needs, and those that it does not. New arrays. */
static int split_blobs(const ImageResult *q, json_t **ret_needed, json_t **ret_rest, Error *e) {
        _cleanup_json_ json_t *needed = json_array(), *rest = json_array();
        json_t *blobs, *blob;
        size_t i;
        int r;

        if (!needed || !rest)
                return -ENOMEM;
        r = json_get_array(q->result, "result", "blobs", SIZE_MAX, &blobs, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no blobs");
        json_array_foreach(blobs, i, blob) {
                const char *digest = json_string_value(json_object_get(blob, "digest"));
                bool drop = q->discard_layers && q->unpacked && is_layer(q->result, digest);

                if (json_array_append(drop ? rest : needed, blob) < 0)
                        return -ENOMEM;
        }
        *ret_needed = TAKE_PTR(needed);
        *ret_rest = TAKE_PTR(rest);
        return 0;
}

static uint64_t blobs_size(json_t *blobs) {
        uint64_t size = 0;
        json_t *blob;
        size_t i;

        json_array_foreach(blobs, i, blob)
                size += (uint64_t) json_integer_value(json_object_get(blob, "size"));
        return size;
}

/* Whether a pull has found all as it was: what is recorded of it then needs to wait for no disk. */
static bool is_recorded(Manager *m, const Image *i, const ImageResult *q) {
        Object *o = object_find(m, OBJECT_IMAGE, i->object.namespace, i->object.name);
        const Image *old;
        json_t *layer;
        size_t k;

        if (!o)
                return false;
        old = IMAGE(o);
        json_array_foreach(json_object_get(q->result, "layers"), k, layer)
                if (json_is_string(json_object_get(layer, "directory")))
                        return false;
        return !old->damaged && !q->lease && (!q->labels || json_equal(q->labels, old->labels)) &&
               old->size == i->size && (old->unpacked || !q->unpacked) &&
               streq(old->digest, i->digest) && streq(old->manifest_digest, i->manifest_digest) &&
               streq(old->config_digest, i->config_digest) &&
               json_equal(old->platforms, i->platforms);
}

/* A new, unlinked image from the worker's result. */
static int image_from_result(Manager *m, const char *namespace, const ImageResult *q, Image **ret,
                             Error *e) {
        _cleanup_json_ json_t *needed = NULL, *rest = NULL;
        _cleanup_(image_freep) Image *i = NULL;
        const char *digest, *media_type;
        json_t *platforms = NULL;
        int r;

        i = calloc(1, sizeof(Image));
        if (!i)
                return -ENOMEM;
        r = object_init(&i->object, m, OBJECT_IMAGE, namespace, q->name);
        if (r < 0)
                return r;
        if (json_get_string(q->result, "result", "digest", &digest, e) <= 0 ||
            json_get_string(q->result, "result", "media_type", &media_type, e) <= 0)
                return error_setf(e, -EBADMSG, "The worker's result has no digest");
        if (free_and_strdup(&i->digest, digest) < 0 ||
            free_and_strdup(&i->media_type, media_type) < 0)
                return -ENOMEM;
        r = digest_of(q->result, "manifest", &i->manifest_digest, e);
        if (r == 0)
                r = digest_of(q->result, "config", &i->config_digest, e);
        if (r == 0)
                r = split_blobs(q, &needed, &rest, e);
        if (r == 0)
                r = json_get_array(q->result, "result", "platforms", PLATFORMS_MAX, &platforms, e);
        if (r < 0)
                return r;
        i->size = blobs_size(needed);
        i->platforms = platforms ? json_incref(platforms) : json_array();
        i->labels = q->labels ? json_incref(q->labels) : json_object();
        if (!i->labels || !i->platforms)
                return -ENOMEM;
        i->created_at = i->updated_at = now_realtime();
        *ret = TAKE_PTR(i);
        return 0;
}

/* What stays of the one that has the name so far. */
static void image_inherit(Image *i, const Image *old, const ImageResult *q) {
        i->created_at = old->created_at;
        if (!q->labels) {
                json_decref(i->labels);
                i->labels = json_incref(old->labels);
        }
        /* without unpacking again what is unpacked stays so */
        if (!q->unpacked && old->unpacked && streq(old->manifest_digest, i->manifest_digest)) {
                i->snapshot = old->snapshot;
                i->unpacked = true;
        }
}

/* top: that of the same result, which was committed under another name; -1: none was. */
static int commit_image(Manager *m, Image *i, const ImageResult *q, int64_t top, Adopted *adopted,
                        Error *e) {
        _cleanup_json_ json_t *needed = NULL, *rest = NULL;
        Object *old;
        int r;

        old = object_find(m, OBJECT_IMAGE, i->object.namespace, i->object.name);
        if (old)
                image_inherit(i, IMAGE(old), q);
        if (q->unpacked) {
                i->unpacked = true;
                i->snapshot = top;
                r = top < 0 ? commit_layers(m, q->result, adopted, &i->snapshot, e) : 0;
                if (r != 0)
                        return r;
        }
        r = split_blobs(q, &needed, &rest, e);
        if (r != 0)
                return r;
        r = db_image_put(m->db, i, needed, e);
        /* a blob that is recorded and that nothing needs is collected */
        return r != 0 ? r : db_blobs_put(m->db, i->object.namespace, rest, e);
}

static int commit_rows(Manager *m, Image **images, const ImageResult *results, size_t n,
                       Adopted *adopted, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = n == 1 && is_recorded(m, images[0], results) ? db_begin_unsynced(m->db, e)
                                                         : db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        for (size_t k = 0; k < n; k++) {
                bool again = k > 0 && results[k].result == results[k - 1].result;

                r = commit_image(m, images[k], results + k, again ? images[k - 1]->snapshot : -1,
                                 adopted, e);
                if (r == 0 && results[k].lease)
                        r = lease_add_image(m, images[k]->object.namespace, results[k].lease,
                                            results[k].name, e);
                if (r != 0)
                        return r;
        }
        /* the worker synced the trees; their new names are to be there before the rows */
        if (adopted->n > 0 && fsync(m->snapshots_fd) < 0)
                return error_setf(e, -errno, "Failed to sync the snapshots: %m");
        r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

static int commit_or_discard(Manager *m, Image **images, const ImageResult *results, size_t n,
                             Error *e) {
        Adopted adopted = {};
        int r;

        r = commit_rows(m, images, results, n, &adopted, e);
        for (size_t k = 0; r != 0 && k < adopted.n; k++) {
                _cleanup_error_ Error local = ERROR_NULL;

                if (sweeper_doom(m->sweeper, adopted.ids[k], &local) != 0)
                        log_warning("%s", error_text(&local));
        }
        free(adopted.ids);
        return r;
}

/* The world sees it: as a new object, or as the one that it knows with another content. */
static int show(Manager *m, Image **image, Error *e) {
        Image *i = *image;
        Object *old;
        int r;

        old = object_find(m, OBJECT_IMAGE, i->object.namespace, i->object.name);
        if (old) {
                image_replace(IMAGE(old), i);
                return 0;
        }
        r = object_link(&i->object);
        if (r == 0)
                TAKE_PTR(*image);
        return r;
}

int images_commit(Manager *m, const char *namespace, const ImageResult *results, size_t n,
                  Error *e) {
        _cleanup_free_ Image **images = NULL;
        int r = 0;

        assert(m && namespace && results);

        images = calloc(n + 1, sizeof(Image *));
        if (!images)
                return -ENOMEM;
        for (size_t k = 0; r == 0 && k < n; k++)
                r = image_from_result(m, namespace, results + k, images + k, e);
        if (r == 0)
                r = commit_or_discard(m, images, results, n, e);
        for (size_t k = 0; r == 0 && k < n; k++)
                r = show(m, images + k, e);
        for (size_t k = 0; k < n; k++)
                image_free(images[k]);
        /* what was fetched again is as it should be */
        if (r == 0)
                r = content_update_images(m, e);
        /* what was replaced, and blobs that are not to be kept */
        return r != 0 ? r : sweeper_collect(m->sweeper, NULL, NULL, e);
}
