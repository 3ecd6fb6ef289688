/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/closure.h"

#include "image/content.h"
#include "worker/document.h"

static bool is_known(const Closure *c, const Digest *d) {
        for (size_t i = 0; i < c->n_documents; i++)
                if (digest_equal(&c->documents[i].digest, d))
                        return true;
        return false;
}

static int add_document(Closure *c, const Descriptor *d, Error *e) {
        Descriptor *larger;
        int r;

        if (c->n_documents == CLOSURE_DOCUMENTS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The image has more than %i manifests",
                                  CLOSURE_DOCUMENTS_MAX);
        larger = reallocarray(c->documents, c->n_documents + 1, sizeof(Descriptor));
        if (!larger)
                return -ENOMEM;
        c->documents = larger;
        c->documents[c->n_documents] = (Descriptor){};
        r = descriptor_copy(c->documents + c->n_documents, d);
        if (r == 0)
                c->n_documents++;
        return r;
}

static int add_blob(Closure *c, const Descriptor *d, Error *e) {
        _cleanup_close_ int fd = -1;
        Descriptor *larger;
        uint64_t size;
        int r;

        for (size_t i = 0; i < c->n_blobs; i++)
                if (digest_equal(&c->blobs[i].digest, &d->digest))
                        return 0;
        if (media_type_is_nondistributable(d->media_type))
                return 0;
        r = content_open_blob(c->content_fd, &d->digest, &fd, &size, e);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, r, "The blob %s of the image is not in the store",
                                  DIGEST_STRING(&d->digest));
        if (r != 0)
                return r;
        if (size != d->size)
                return error_setf(e, CTR_DATA_LOSS,
                                  "The blob %s has %llu bytes in the store instead of the %llu "
                                  "that its descriptor says",
                                  DIGEST_STRING(&d->digest), (unsigned long long) size,
                                  (unsigned long long) d->size);
        if (c->n_blobs == CLOSURE_BLOBS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The image has more than %i blobs",
                                  CLOSURE_BLOBS_MAX);
        larger = reallocarray(c->blobs, c->n_blobs + 1, sizeof(Descriptor));
        if (!larger)
                return -ENOMEM;
        c->blobs = larger;
        c->blobs[c->n_blobs] = (Descriptor){};
        r = descriptor_copy(c->blobs + c->n_blobs, d);
        if (r == 0)
                c->n_blobs++;
        return r;
}

static int collect(Closure *c, const Descriptor *d, unsigned depth, Digest *ret, Error *e);

static int collect_manifest(Closure *c, const Text *text, const Descriptor *d, Error *e) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        int r;

        r = manifest_parse_artifact(text->data, text->size, d->media_type,
                                    DIGEST_STRING(&d->digest), &m, e);
        if (r != 0)
                return r;
        for (size_t i = 0; r == 0 && i < m->n_layers; i++)
                r = add_blob(c, m->layers + i, e);
        return r == 0 ? add_blob(c, &m->config, e) : r;
}

/* All of its entries, or the one for our platform in its place: *ret_done is true if the index
 * itself is not pushed. */
static int collect_index(Closure *c, const Text *text, const Descriptor *d, unsigned depth,
                         bool *ret_done, Digest *ret, Error *e) {
        Digest ignored;
        _cleanup_(index_freep) Index *index = NULL;
        const Descriptor *chosen;
        int r;

        if (depth == CLOSURE_DEPTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Indexes are nested more than %i deep",
                                  CLOSURE_DEPTH_MAX);
        r = index_parse(text->data, text->size, d->media_type, DIGEST_STRING(&d->digest), &index,
                        e);
        if (r != 0)
                return r;
        *ret_done = !c->all_platforms;
        if (*ret_done) {
                r = index_choose(index, &c->platform, DIGEST_STRING(&d->digest), &chosen, e);
                return r == 0 ? collect(c, chosen, depth + 1, ret, e) : r;
        }
        for (size_t i = 0; r == 0 && i < index->n_manifests; i++)
                r = collect(c, index->manifests + i, depth + 1, &ignored, e);
        return r;
}

/* *ret is what was taken: d itself, or what was chosen from it. */
static int collect(Closure *c, const Descriptor *d, unsigned depth, Digest *ret, Error *e) {
        _cleanup_(text_clear) Text text = {};
        _cleanup_free_ char *media_type = NULL;
        Descriptor found = *d;
        bool done = false;
        MediaKind kind;
        int r;

        *ret = d->digest;
        if (is_known(c, &d->digest))
                return 0;
        r = text_read_stored(c->content_fd, &d->digest, &text, e);
        if (r != 0)
                return r;
        r = media_type_identify(text.data, text.size, d->media_type, DIGEST_STRING(&d->digest),
                                &kind, &media_type, e);
        if (r != 0)
                return r;
        found.media_type = media_type;
        found.size = text.size;
        r = kind == MEDIA_INDEX ? collect_index(c, &text, &found, depth, &done, ret, e)
                                : collect_manifest(c, &text, &found, e);
        return r == 0 && !done ? add_document(c, &found, e) : r;
}

static const Descriptor *find_document(const Closure *c, const Digest *d) {
        for (size_t i = 0; i < c->n_documents; i++)
                if (digest_equal(&c->documents[i].digest, d))
                        return c->documents + i;
        return NULL;
}

int closure_add(Closure *c, const Digest *target, const Descriptor **ret, Error *e) {
        const Descriptor d = {.digest = *target};
        Digest found = *target;
        int r;

        assert(c && target && ret);

        r = collect(c, &d, 0, &found, e);
        if (r == 0)
                *ret = find_document(c, &found);
        return r;
}

void closure_clear(Closure *c) {
        for (size_t i = 0; i < c->n_documents; i++)
                descriptor_clear(c->documents + i);
        free(c->documents);
        for (size_t i = 0; i < c->n_blobs; i++)
                descriptor_clear(c->blobs + i);
        free(c->blobs);
        *c = (Closure){.content_fd = -1};
}
