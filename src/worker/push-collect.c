/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding all that a push consists of: see worker/push.h. */

#include "image/content.h"
#include "worker/document.h"
#include "worker/push.h"

static bool is_known(const Push *p, const Digest *d) {
        for (size_t i = 0; i < p->n_documents; i++)
                if (digest_equal(&p->documents[i].digest, d))
                        return true;
        return false;
}

static int add_document(Push *p, const Descriptor *d, Error *e) {
        Descriptor *larger;
        int r;

        if (p->n_documents == PUSH_DOCUMENTS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The image has more than %i manifests",
                                  PUSH_DOCUMENTS_MAX);
        larger = reallocarray(p->documents, p->n_documents + 1, sizeof(Descriptor));
        if (!larger)
                return -ENOMEM;
        p->documents = larger;
        p->documents[p->n_documents] = (Descriptor){};
        r = descriptor_copy(p->documents + p->n_documents, d);
        if (r == 0)
                p->n_documents++;
        return r;
}

/* Layers that may not be given on: registries know them by their media type. */
static bool stays_where_it_is(const Descriptor *d) {
        return strstr(d->media_type, "nondistributable") || strstr(d->media_type, ".foreign.");
}

static int add_blob(Push *p, const char *kind, const Descriptor *d, Error *e) {
        _cleanup_close_ int fd = -1;
        PushBlob *larger;
        uint64_t size;
        int r;

        for (size_t i = 0; i < p->n_blobs; i++)
                if (digest_equal(&p->blobs[i].descriptor.digest, &d->digest))
                        return 0;
        if (stays_where_it_is(d))
                return 0;
        r = content_open_blob(p->store.content_fd, &d->digest, &fd, &size, e);
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
        if (p->n_blobs == PUSH_BLOBS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The image has more than %i blobs",
                                  PUSH_BLOBS_MAX);
        larger = reallocarray(p->blobs, p->n_blobs + 1, sizeof(PushBlob));
        if (!larger)
                return -ENOMEM;
        p->blobs = larger;
        p->blobs[p->n_blobs] = (PushBlob){.kind = kind};
        r = descriptor_copy(&p->blobs[p->n_blobs].descriptor, d);
        if (r == 0)
                p->n_blobs++;
        return r;
}

static int collect(Push *p, const Descriptor *d, unsigned depth, Error *e);

static int collect_manifest(Push *p, const Text *text, const Descriptor *d, Error *e) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        int r;

        r = manifest_parse_artifact(text->data, text->size, d->media_type,
                                    DIGEST_STRING(&d->digest), &m, e);
        if (r != 0)
                return r;
        for (size_t i = 0; r == 0 && i < m->n_layers; i++)
                r = add_blob(p, "layer-", m->layers + i, e);
        return r == 0 ? add_blob(p, "config-", &m->config, e) : r;
}

/* All of its entries, or the one for our platform in its place: *ret_done is true if the index
 * itself is not pushed. */
static int collect_index(Push *p, const Text *text, const Descriptor *d, unsigned depth,
                         bool *ret_done, Error *e) {
        _cleanup_(index_freep) Index *index = NULL;
        const Descriptor *chosen;
        int r;

        if (depth == PUSH_DEPTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Indexes are nested more than %i deep",
                                  PUSH_DEPTH_MAX);
        r = index_parse(text->data, text->size, d->media_type, DIGEST_STRING(&d->digest), &index,
                        e);
        if (r != 0)
                return r;
        *ret_done = !p->options->all_platforms;
        if (*ret_done) {
                r = index_choose(index, &p->options->platform, DIGEST_STRING(&d->digest), &chosen,
                                 e);
                return r == 0 ? collect(p, chosen, depth + 1, e) : r;
        }
        for (size_t i = 0; r == 0 && i < index->n_manifests; i++)
                r = collect(p, index->manifests + i, depth + 1, e);
        return r;
}

static int collect(Push *p, const Descriptor *d, unsigned depth, Error *e) {
        _cleanup_(text_clear) Text text = {};
        _cleanup_free_ char *media_type = NULL;
        Descriptor found = *d;
        bool done = false;
        MediaKind kind;
        int r;

        if (is_known(p, &d->digest))
                return 0;
        r = text_read_stored(p->store.content_fd, &d->digest, &text, e);
        if (r != 0)
                return r;
        r = manifest_identify(text.data, text.size, d->media_type, DIGEST_STRING(&d->digest), &kind,
                              &media_type, e);
        if (r != 0)
                return r;
        found.media_type = media_type;
        found.size = text.size;
        r = kind == MEDIA_INDEX ? collect_index(p, &text, &found, depth, &done, e)
                                : collect_manifest(p, &text, &found, e);
        return r == 0 && !done ? add_document(p, &found, e) : r;
}

int push_collect(Push *p, Error *e) {
        const Reference *ref = &p->reference;
        Descriptor target = {};
        const Descriptor *last;
        int r;

        if (!p->options->has_digest && !ref->has_digest)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "What is to be pushed must be named by its digest");
        target.digest = p->options->has_digest ? p->options->digest : ref->digest;
        r = collect(p, &target, 0, e);
        if (r != 0)
                return r;
        last = p->documents + p->n_documents - 1;
        if (ref->has_digest && !digest_equal(&last->digest, &ref->digest))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "What is pushed has the digest %s, and not that of its name",
                                  DIGEST_STRING(&last->digest));
        return 0;
}
