/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The images of an index for the other platforms: their documents and blobs go into the store,
 * nothing of them is extracted. A document is dropped as soon as it was read: there may be a
 * thousand. Without a registry (an import) what is not in the store is left out: an archive need
 * not have all that its index names.
 */

#include "worker/pull.h"

#include "image/content.h"
#include "worker/closure.h"

/* Own: of the image that is extracted, which is fetched anyway. */
static bool is_own(const Pull *p, const Digest *d) {
        for (size_t i = 0; i < p->n_documents; i++)
                if (digest_equal(&p->documents[i].descriptor.digest, d))
                        return true;
        for (size_t i = 0; i < p->manifest->n_layers; i++)
                if (digest_equal(&p->manifest->layers[i].digest, d))
                        return true;
        return false;
}

/* It is in the store, or can be fetched. */
static bool is_available(const Pull *p, const Digest *d) {
        _cleanup_close_ int fd = -1;

        return p->registry || content_open_blob(p->store->content_fd, d, &fd, NULL, NULL) == 0;
}

/* Appends a copy unless the list has it. *ret_new tells. */
static int list_add(DescriptorList *l, const Descriptor *d, bool *ret_new, Error *e) {
        Descriptor *larger;
        int r;

        *ret_new = false;
        for (size_t i = 0; i < l->n; i++)
                if (digest_equal(&l->items[i].digest, &d->digest))
                        return 0;
        if (l->n == CLOSURE_BLOBS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The index has more than %i blobs",
                                  CLOSURE_BLOBS_MAX);
        larger = reallocarray(l->items, l->n + 1, sizeof(Descriptor));
        if (!larger)
                return -ENOMEM;
        l->items = larger;
        l->items[l->n] = (Descriptor){};
        r = descriptor_copy(l->items + l->n, d);
        if (r == 0) {
                l->n++;
                *ret_new = true;
        }
        return r;
}

static int add_blob(Pull *p, const Descriptor *d, bool *complete, Error *e) {
        bool ignored;

        /* what may not be distributed is not to be had from the registry either */
        if (is_own(p, &d->digest) || media_type_is_nondistributable(d->media_type))
                return 0;
        if (!is_available(p, &d->digest)) {
                *complete = false;
                return 0;
        }
        return list_add(&p->other_blobs, d, &ignored, e);
}

/* The blobs of an image, which is one for a platform if all of them are there. listed is what the
 * index says of it. */
static int add_manifest(Pull *p, const Text *text, const Descriptor *d, const Descriptor *listed,
                        Error *e) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        bool complete = true, ignored;
        int r;

        r = manifest_parse_artifact(text->data, text->size, d->media_type,
                                    DIGEST_STRING(&d->digest), &m, e);
        if (r == 0)
                r = add_blob(p, &m->config, &complete, e);
        for (size_t i = 0; r == 0 && i < m->n_layers; i++)
                r = add_blob(p, m->layers + i, &complete, e);
        return r == 0 && complete ? list_add(&p->platforms, listed, &ignored, e) : r;
}

static int add_entries(Pull *p, Http *http, const Text *text, const Descriptor *d, unsigned depth,
                       Error *e);

/* One that was fetched on the way to our platform's image. */
static int add_own(Pull *p, Http *http, const Document *own, const Descriptor *d, unsigned depth,
                   Error *e) {
        const Text text = {.data = own->data, .size = own->descriptor.size};
        bool ignored;

        return streq(own->kind, "index")
                               ? add_entries(p, http, &text, &own->descriptor, depth + 1, e)
                               : list_add(&p->platforms, d, &ignored, e);
}

/* One that was not, and its blobs. */
static int add_other(Pull *p, Http *http, const Descriptor *d, unsigned depth, Error *e) {
        _cleanup_(text_clear) Text text = {};
        _cleanup_free_ char *media_type = NULL;
        Descriptor found = *d;
        MediaKind kind;
        int r;

        r = pull_fetch_document(p, http, d, false, &text, e);
        if (r == 0)
                r = media_type_identify(text.data, text.size,
                                        text.media_type ? text.media_type : d->media_type,
                                        DIGEST_STRING(&d->digest), &kind, &media_type, e);
        if (r != 0)
                return r;
        found.media_type = media_type;
        r = kind == MEDIA_INDEX ? 0
                                : pull_check_trust(p, http, &d->digest, text.data, text.size, e);
        if (r != 0)
                return r;
        r = kind == MEDIA_INDEX ? add_entries(p, http, &text, &found, depth + 1, e)
                                : add_manifest(p, &text, &found, d, e);
        return r == 0 ? pull_store_document(p, d, text.data, e) : r;
}

static int add_entry(Pull *p, Http *http, const Descriptor *d, unsigned depth, Error *e) {
        bool new;
        int r;

        for (size_t i = 0; i < p->n_documents; i++)
                if (digest_equal(&p->documents[i].descriptor.digest, &d->digest))
                        return add_own(p, http, p->documents + i, d, depth, e);
        if (job_is_canceled(p->job))
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        if (!is_available(p, &d->digest))
                return 0;
        r = list_add(&p->other_documents, d, &new, e);
        return r == 0 && new ? add_other(p, http, d, depth, e) : r;
}

static int add_entries(Pull *p, Http *http, const Text *text, const Descriptor *d, unsigned depth,
                       Error *e) {
        _cleanup_(index_freep) Index *index = NULL;
        int r;

        if (depth >= INDEX_DEPTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Indexes are nested more than %i deep",
                                  INDEX_DEPTH_MAX);
        r = index_parse(text->data, text->size, d->media_type, DIGEST_STRING(&d->digest), &index,
                        e);
        for (size_t i = 0; r == 0 && i < index->n_manifests; i++)
                r = add_entry(p, http, index->manifests + i, depth, e);
        return r;
}

/* The blobs are things to be fetched, as layers are. */
static int add_layers(Pull *p) {
        Layer *layers;

        layers = calloc(p->other_blobs.n + 1, sizeof(Layer));
        if (!layers)
                return -ENOMEM;
        for (size_t i = 0; i < p->other_blobs.n; i++)
                layers[i] = (Layer){.descriptor = p->other_blobs.items + i,
                                    .fetch_only = true,
                                    .fd = -1,
                                    .fs_fd = -1};
        (void) pthread_mutex_lock(&p->job->mutex);
        p->others = layers;
        p->n_others = p->other_blobs.n;
        (void) pthread_mutex_unlock(&p->job->mutex);
        return 0;
}

int pull_resolve_others(Pull *p, Http *http, Error *e) {
        const Document *target = p->documents;
        const Text text = {.data = target->data, .size = target->descriptor.size};
        int r;

        if (!streq(target->kind, "index"))
                return 0;
        r = add_entries(p, http, &text, &target->descriptor, 0, e);
        return r == 0 ? add_layers(p) : r;
}
