/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "image/ingest.h"
#include "snapshot/diff.h"
#include "snapshot/overlayfs.h"
#include "worker/checkpoint.h"

#define INDEX_MEDIA_TYPE "application/vnd.oci.image.index.v1+json"
#define LAYER_MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar"
#define REQUEST_MAX      (64U * 1024)
#define BLOBS            4

typedef struct Blob {
        Ingest *ingest;
        const char *media_type;
} Blob;

typedef struct Storing {
        const Store *store;
        int dir_fd;
        json_t *request;
        Blob blobs[BLOBS];
        size_t n_blobs;
} Storing;

/* What was not committed is removed. */
static void storing_clear(Storing *x) {
        for (size_t i = 0; i < x->n_blobs; i++)
                ingest_free(x->blobs[i].ingest);
        json_decref(x->request);
        fd_close(x->dir_fd);
}

static int blob_write(void *userdata, const void *data, size_t size, Error *e) {
        return ingest_write(((Blob *) userdata)->ingest, data, size, e);
}

static int blob_new(Storing *x, const char *media_type, Blob **ret, Error *e) {
        Blob *b = &x->blobs[x->n_blobs];
        int r;

        assert(x->n_blobs < BLOBS);
        r = ingest_open_unknown(x->store->content_fd, &b->ingest, e);
        if (r != 0)
                return r;
        b->media_type = media_type;
        x->n_blobs++;
        *ret = b;
        return 0;
}

static int store_tree(Storing *x, int tree_fd, DiffFlags flags, const char *media_type, Error *e) {
        Blob *b;
        int r;

        r = blob_new(x, media_type, &b, e);
        if (r == 0)
                r = layer_diff(tree_fd, &(DiffOptions){.flags = flags}, blob_write, b, e);
        return r != 0 ? r : ingest_verify(b->ingest, e);
}

static int store_images(Storing *x, Error *e) {
        _cleanup_close_ int fd = -1;

        fd = openat(x->dir_fd, CHECKPOINT_IMAGES, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the images of the checkpoint: %m");
        return store_tree(x, fd, 0, CHECKPOINT_MEDIA_TYPE, e);
}

static int store_text(Storing *x, const char *text, size_t size, const char *media_type, Error *e) {
        Blob *b;
        int r;

        r = blob_new(x, media_type, &b, e);
        if (r == 0)
                r = blob_write(b, text, size, e);
        return r != 0 ? r : ingest_verify(b->ingest, e);
}

static int store_config(Storing *x, Error *e) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read_at(x->dir_fd, CHECKPOINT_CONFIG, 8U * 1024 * 1024, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", CHECKPOINT_CONFIG);
        return store_text(x, text, size, CHECKPOINT_CONFIG_MEDIA_TYPE, e);
}

static int store_changes(Storing *x, Error *e) {
        _cleanup_close_ int fd = -1;
        uint64_t snapshot = 0;
        int r;

        r = json_get_uint64(x->request, "", "snapshot", INT64_MAX, &snapshot, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "snapshot is missing");
        r = overlayfs_open_tree(x->store->snapshots_fd, snapshot, &fd, e);
        return r != 0 ? r : store_tree(x, fd, DIFF_OVERLAY, LAYER_MEDIA_TYPE, e);
}

static json_t *describe(const Storing *x, size_t i) {
        const Blob *b = &x->blobs[i];

        return json_pack("{ss ss sI s{sO sO}}", "mediaType", b->media_type, "digest",
                         DIGEST_STRING(ingest_digest(b->ingest)), "size",
                         (json_int_t) ingest_offset(b->ingest), "platform", "os",
                         json_object_get(x->request, "os"), "architecture",
                         json_object_get(x->request, "architecture"));
}

static int store_index(Storing *x, Error *e) {
        _cleanup_json_ json_t *index = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        index = json_pack("{si ss s[oo O o] s{sO}}", "schemaVersion", 2, "mediaType",
                          INDEX_MEDIA_TYPE, "manifests", describe(x, 0), describe(x, 1),
                          json_object_get(x->request, "target"), describe(x, 2), "annotations",
                          "image.name", json_object_get(x->request, "image"));
        r = index ? json_to_text(index, &text) : -EBADMSG;
        if (r < 0)
                return error_setf(e, r, "Failed to write the index: %m");
        return store_text(x, text, strlen(text), INDEX_MEDIA_TYPE, e);
}

static int make_result(const Storing *x, json_t **ret) {
        _cleanup_json_ json_t *blobs = json_array();
        const Blob *index = &x->blobs[BLOBS - 1];

        for (size_t i = 0; blobs && i < x->n_blobs; i++) {
                const Blob *b = &x->blobs[i];

                if (json_array_append_new(blobs, json_pack("{ss ss sI}", "digest",
                                                           DIGEST_STRING(ingest_digest(b->ingest)),
                                                           "media_type", b->media_type, "size",
                                                           (json_int_t) ingest_offset(b->ingest))) <
                    0)
                        return -ENOMEM;
        }
        *ret = json_pack("{ss ss ss sI sO}", "type", "result", "digest",
                         DIGEST_STRING(ingest_digest(index->ingest)), "media_type",
                         index->media_type, "size", (json_int_t) ingest_offset(index->ingest),
                         "blobs", blobs);
        return *ret ? 0 : -ENOMEM;
}

int checkpoint_store(const Store *s, const char *name, json_t **ret, Error *e) {
        _cleanup_(storing_clear) Storing x = {.store = s, .dir_fd = -1};
        Ingest *all[BLOBS];
        int r;

        ingest_sweep_unknown(s->content_fd);
        x.dir_fd = openat(s->snapshots_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (x.dir_fd < 0)
                return error_setf(e, -errno, "Failed to open the checkpoint %s: %m", name);
        r = json_read_file_at(x.dir_fd, CHECKPOINT_REQUEST, REQUEST_MAX, &x.request, e);
        if (r == 0)
                r = store_images(&x, e);
        if (r == 0)
                r = store_config(&x, e);
        if (r == 0)
                r = store_changes(&x, e);
        if (r == 0)
                r = store_index(&x, e);
        /* content that is there already is as good (A3.18, A5.22) */
        for (size_t i = 0; i < x.n_blobs; i++)
                all[i] = x.blobs[i].ingest;
        if (r == 0)
                r = ingest_commit_all(s->content_fd, all, x.n_blobs, false, e);
        return r != 0 ? r : make_result(&x, ret);
}
