/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From the reference to the manifest and the config of one platform. Nothing in a document is
 * followed before its digest was checked.
 */

#include "image/content.h"
#include "image/hash.h"
#include "image/http-text.h"
#include "worker/document.h"
#include "worker/pull.h"

/* Keeps a copy of a document for the store. */
static int add_document(Pull *p, const char *kind, const Descriptor *d, const Text *text) {
        Document *document = p->documents + p->n_documents;
        int r;

        assert(p->n_documents < ELEMENTSOF(p->documents) && d->size == text->size);

        r = descriptor_copy(&document->descriptor, d);
        if (r < 0)
                return r;
        p->n_documents++;
        document->kind = kind;
        document->data = malloc(text->size + 1);
        if (!document->data)
                return -ENOMEM;
        memcpy(document->data, text->data, text->size + 1);
        return 0;
}

static int fetch_config(Pull *p, Http *http, const Digest *digest, Text *ret, Error *e) {
        _cleanup_(http_buffer_clear)
                        HttpBuffer buffer = {.what = "The image config", .max = CONFIG_SIZE_MAX};
        int r;

        r = registry_get_blob(p->registry, http, digest, 0, http_buffer_body, &buffer, e);
        if (r != 0)
                return r;
        if (!buffer.data)
                return error_setf(e, CTR_DATA_LOSS, "The registry sent an empty blob %s",
                                  DIGEST_STRING(digest));
        ret->size = buffer.size;
        ret->data = TAKE_PTR(buffer.data);
        return 0;
}

/* A document of the store. 0, or CTR_NOT_FOUND also for a damaged one, which is removed: no later
 * pull would succeed if it stayed. */
static int read_stored(Pull *p, const Digest *d, Text *ret, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        r = text_read_stored(p->store->content_fd, d, ret, &local);
        if (r == CTR_DATA_LOSS)
                (void) content_remove_blob(p->store->content_fd, d);
        if (r > 0 && p->registry)
                return CTR_NOT_FOUND;
        /* nobody else can be asked for it */
        return error_propagate(e, r, &local);
}

int pull_fetch_document(Pull *p, Http *http, const Descriptor *d, bool is_config, Text *ret,
                        Error *e) {
        _cleanup_(text_clear) Text text = {};
        int r;

        r = read_stored(p, &d->digest, &text, e);
        if (r != 0 && (r < 0 || !p->registry))
                return r;
        if (r != 0) {
                if (is_config)
                        r = fetch_config(p, http, &d->digest, &text, e);
                else
                        r = registry_get_manifest(p->registry, http, DIGEST_STRING(&d->digest),
                                                  MANIFEST_SIZE_MAX, &text.data, &text.size,
                                                  &text.media_type, e);
                if (r != 0)
                        return r;
        }
        if (text.size != d->size)
                return error_setf(e, CTR_DATA_LOSS,
                                  "%s has %zu bytes instead of the %llu that its descriptor says",
                                  DIGEST_STRING(&d->digest), text.size,
                                  (unsigned long long) d->size);
        r = text_check(&text, &d->digest, "The registry sent", e);
        if (r != 0)
                return r;
        *ret = text;
        text = (Text){};
        return 0;
}

/* A tag that stands for what it did before needs no manifest to be fetched. 0, CTR_NOT_FOUND if it
 * is to be fetched, or an error. */
static int find_known(Pull *p, Http *http, Text *ret, Error *e) {
        const Digest *known = &p->options->known;
        _cleanup_(text_clear) Text text = {};
        _cleanup_error_ Error local = ERROR_NULL;
        Digest now;
        int r;

        if (p->reference.has_digest || !p->options->has_known || !p->registry)
                return CTR_NOT_FOUND;
        r = read_stored(p, known, &text, e);
        if (r != 0)
                return r;
        r = registry_resolve(p->registry, http, p->reference.tag, MANIFEST_SIZE_MAX, &now, &local);
        if (r != 0) {
                if (r != CTR_NOT_FOUND)
                        (void) error_move(e, &local);
                return r;
        }
        if (!digest_equal(&now, known))
                return CTR_NOT_FOUND;
        p->target.digest = now;
        *ret = text;
        text = (Text){};
        return 0;
}

/* From the store: where nobody has to be asked, or has said that it is still the same. */
static int find_target(Pull *p, Http *http, Text *ret, Error *e) {
        const Reference *ref = &p->reference;

        if (ref->has_digest && (p->options->prefer_local || !p->registry))
                return read_stored(p, &ref->digest, ret, e);
        return find_known(p, http, ret, e);
}

/* The document that the reference names. */
static int fetch_target(Pull *p, Http *http, Text *ret, Error *e) {
        const Reference *ref = &p->reference;
        _cleanup_(text_clear) Text text = {};
        const char *wanted;
        int r;

        r = find_target(p, http, &text, e);
        if (r != 0 && (r != CTR_NOT_FOUND || !p->registry))
                return r;
        if (r != 0) {
                wanted = ref->has_digest ? DIGEST_STRING(&ref->digest) : ref->tag;
                r = registry_get_manifest(p->registry, http, wanted, MANIFEST_SIZE_MAX, &text.data,
                                          &text.size, &text.media_type, e);
                if (r != 0)
                        return r;
                r = ref->has_digest ? 0
                                    : hash_buffer(DIGEST_SHA256, text.data, text.size,
                                                  &p->target.digest);
                if (r < 0)
                        return error_setf(e, r, "Failed to compute a digest: %m");
        }
        if (ref->has_digest) {
                p->target.digest = ref->digest;
                r = text_check(&text, &ref->digest, "The registry sent", e);
                if (r != 0)
                        return r;
        }
        p->target.size = text.size;
        *ret = text;
        text = (Text){};
        return 0;
}

/* Goes from an index to the document in it for our platform. Replaces text and current. */
static int descend(Pull *p, Http *http, Text *text, Descriptor *current, const char *what,
                   Error *e) {
        _cleanup_(index_freep) Index *index = NULL;
        const Descriptor *chosen;
        Descriptor next = {};
        int r;

        r = index_parse(text->data, text->size, current->media_type, what, &index, e);
        if (r != 0)
                return r;
        r = index_choose(index, &p->options->platform, what, &chosen, e);
        if (r != 0)
                return r;
        r = descriptor_copy(&next, chosen);
        if (r < 0)
                return r;
        text_clear(text);
        descriptor_clear(current);
        *current = next;
        return pull_fetch_document(p, http, current, false, text, e);
}

/* From what the reference names to the manifest, through at most a few indexes. */
static int find_manifest(Pull *p, Http *http, const char *what, Error *e) {
        _cleanup_(text_clear) Text text = {};
        _cleanup_(descriptor_clear) Descriptor current = {};
        int r;

        r = fetch_target(p, http, &text, e);
        if (r != 0)
                return r;
        current.digest = p->target.digest;
        current.size = p->target.size;
        for (unsigned depth = 0;; depth++) {
                _cleanup_free_ char *media_type = NULL;
                MediaKind kind;

                r = media_type_identify(text.data, text.size,
                                        text.media_type ? text.media_type : current.media_type,
                                        what, &kind, &media_type, e);
                if (r != 0)
                        return r;
                if (current.media_type && !streq(current.media_type, media_type))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: %s is listed as \"%s\", but is \"%s\"", what,
                                          DIGEST_STRING(&current.digest), current.media_type,
                                          media_type);
                free(current.media_type);
                current.media_type = TAKE_PTR(media_type);
                if (depth == 0 && !(p->target.media_type = strdup(current.media_type)))
                        return -ENOMEM;
                r = add_document(p, kind == MEDIA_INDEX ? "index" : "manifest", &current, &text);
                if (r < 0)
                        return r;
                if (kind == MEDIA_MANIFEST)
                        return manifest_parse(text.data, text.size, current.media_type, what,
                                              &p->manifest, e);
                if (depth == INDEX_DEPTH_MAX - 1)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: indexes are nested more than %i deep", what,
                                          INDEX_DEPTH_MAX);
                r = descend(p, http, &text, &current, what, e);
                if (r != 0)
                        return r;
        }
}

static int check_config(const Pull *p, const char *what, Error *e) {
        const Platform *have = &p->config->platform, *want = &p->options->platform;
        char a[PLATFORM_STRING_SIZE], b[PLATFORM_STRING_SIZE];

        if (p->config->n_diff_ids != p->manifest->n_layers)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s: the manifest has %zu layers, the config has %zu diff_ids",
                                  what, p->manifest->n_layers, p->config->n_diff_ids);
        if (*have->os && *have->architecture && platform_match(want, have) < 0)
                return error_setf(e, CTR_NOT_FOUND, "%s is an image for %s, not for %s", what,
                                  platform_to_string(have, a), platform_to_string(want, b));
        return 0;
}

int pull_check_trust(const Pull *p, Http *http, const Digest *digest, const char *data, size_t size,
                     Error *e) {
        const TrustImage image = {.reference = &p->reference,
                                  .digest = digest,
                                  .data = data,
                                  .size = size};

        return p->trust ? trust_check_image(p->trust, &image, p->registry, http, e) : 0;
}

/* The manifest, the last document so far. */
static int check_trust(const Pull *p, Http *http, Error *e) {
        const Document *d = p->documents + p->n_documents - 1;

        return pull_check_trust(p, http, &d->descriptor.digest, d->data, d->descriptor.size, e);
}

int pull_resolve(Pull *p, Http *http, Error *e) {
        _cleanup_(text_clear) Text config = {};
        _cleanup_free_ char *what = NULL;
        int r;

        what = reference_to_string(&p->reference);
        if (!what)
                return -ENOMEM;
        r = find_manifest(p, http, what, e);
        if (r == 0)
                r = check_trust(p, http, e);
        if (r != 0)
                return r;
        r = pull_fetch_document(p, http, &p->manifest->config, true, &config, e);
        if (r != 0)
                return r;
        r = add_document(p, "config", &p->manifest->config, &config);
        if (r < 0)
                return r;
        r = image_config_parse(config.data, config.size, what, &p->config, e);
        if (r == 0)
                r = check_config(p, what, e);
        return r == 0 && p->options->all_platforms ? pull_resolve_others(p, http, e) : r;
}
