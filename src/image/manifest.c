/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/manifest.h"

#include "basic/json.h"

int descriptor_copy(Descriptor *target, const Descriptor *source) {
        Descriptor d = *source;

        d.media_type = strdup(source->media_type);
        if (!d.media_type)
                return -ENOMEM;
        *target = d;
        return 0;
}

void descriptor_clear(Descriptor *d) {
        free(d->media_type);
        *d = (Descriptor){};
}

static int missing(Error *e, const char *path, const char *key) {
        return error_setf(e, -EBADMSG, "%s.%s is missing", path, key);
}

static int parse_platform(json_t *j, const char *path, Descriptor *d, Error *e) {
        const char *os = NULL, *architecture = NULL, *variant = NULL;
        json_t *platform;
        int r;

        r = json_get_object(j, path, "platform", &platform, e);
        if (r <= 0)
                return r;
        if (json_get_string(platform, path, "os", &os, e) < 0 ||
            json_get_string(platform, path, "architecture", &architecture, e) < 0 ||
            json_get_string(platform, path, "variant", &variant, e) < 0)
                return -EBADMSG;
        /* an odd platform is no error of the index, it only is not ours */
        d->has_platform = platform_set(&d->platform, os, architecture, variant, NULL) == 0;
        return 0;
}

static int parse_descriptor(json_t *j, const char *path, Descriptor *d, Error *e) {
        const char *media_type, *digest;
        int r;

        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "%s: expected an object", path);
        r = json_get_string(j, path, "mediaType", &media_type, e);
        if (r <= 0)
                return r < 0 ? r : missing(e, path, "mediaType");
        r = json_get_string(j, path, "digest", &digest, e);
        if (r <= 0)
                return r < 0 ? r : missing(e, path, "digest");
        r = json_get_uint64(j, path, "size", BLOB_SIZE_MAX, &d->size, e);
        if (r <= 0)
                return r < 0 ? r : missing(e, path, "size");
        r = digest_parse(digest, &d->digest, e);
        if (r != 0)
                return error_prefix(e, r, "%s.digest", path);
        d->media_type = strdup(media_type);
        if (!d->media_type)
                return -ENOMEM;
        return parse_platform(j, path, d, e);
}

static int parse_descriptors(json_t *j, const char *key, size_t max, Descriptor **ret,
                             size_t *ret_n, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(j, "", key, max, &array, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "%s is missing", key);
        *ret = calloc(json_array_size(array) + 1, sizeof(Descriptor));
        if (!*ret)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                char path[64];

                (void) snprintf(path, sizeof(path), "%s[%zu]", key, i);
                /* counted first: a half-filled one is freed with the others */
                *ret_n = i + 1;
                r = parse_descriptor(item, path, *ret + i, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int parse_document(const char *data, size_t size, const char *what, json_t **ret, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        int64_t version = 2;
        int r;

        r = json_parse(data, size, what, &j, e);
        if (r != 0)
                return r;
        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "not a JSON object");
        r = json_get_int64(j, "", "schemaVersion", 2, 2, &version, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* A malformed document is the caller's input error, whatever getter found it. */
static int document_error(int r, const char *what, Error *e) {
        if (r == -ENOMEM)
                return r;
        if (e && e->code == -EBADMSG)
                e->code = CTR_INVALID_ARGUMENT;
        return error_prefix(e, r == -EBADMSG ? CTR_INVALID_ARGUMENT : r, "%s", what);
}

static int manifest_fill(Manifest *m, json_t *j, Error *e) {
        json_t *config;
        int r;

        r = json_get_object(j, "", "config", &config, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "config is missing");
        r = parse_descriptor(config, "config", &m->config, e);
        if (r != 0)
                return r;
        return parse_descriptors(j, "layers", MANIFEST_LAYERS_MAX, &m->layers, &m->n_layers, e);
}

static int check_is_image(const Manifest *m, Error *e) {
        if (media_type_kind(m->config.media_type, NULL) != MEDIA_CONFIG)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "the config has the media type \"%.120s\", this is no container "
                                  "image",
                                  m->config.media_type);
        if (m->config.size > MANIFEST_SIZE_MAX)
                return error_setf(e, -EBADMSG, "config.size is larger than %i bytes",
                                  MANIFEST_SIZE_MAX);
        for (size_t i = 0; i < m->n_layers; i++) {
                if (media_type_is_encrypted(m->layers[i].media_type))
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "layers[%zu] is encrypted (\"%.120s\"), which cannot be "
                                          "undone here",
                                          i, m->layers[i].media_type);
                if (media_type_kind(m->layers[i].media_type, NULL) != MEDIA_LAYER)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "layers[%zu] has the media type \"%.120s\", which is no "
                                          "layer that can be unpacked",
                                          i, m->layers[i].media_type);
        }
        return 0;
}

static int parse(const char *data, size_t size, const char *media_type, const char *what,
                 bool is_image, Manifest **ret, Error *e) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(data && media_type && what && ret);

        m = calloc(1, sizeof(Manifest));
        if (!m || !(m->media_type = strdup(media_type)))
                return -ENOMEM;
        r = parse_document(data, size, "document", &j, e);
        if (r == 0)
                r = manifest_fill(m, j, e);
        if (r == 0 && is_image)
                r = check_is_image(m, e);
        if (r != 0)
                return document_error(r, what, e);
        *ret = TAKE_PTR(m);
        return 0;
}

int manifest_parse(const char *data, size_t size, const char *media_type, const char *what,
                   Manifest **ret, Error *e) {
        return parse(data, size, media_type, what, true, ret, e);
}

int manifest_parse_artifact(const char *data, size_t size, const char *media_type, const char *what,
                            Manifest **ret, Error *e) {
        return parse(data, size, media_type, what, false, ret, e);
}

static void descriptors_free(Descriptor *d, size_t n) {
        for (size_t i = 0; i < n; i++)
                descriptor_clear(d + i);
        free(d);
}

Manifest *manifest_free(Manifest *m) {
        if (!m)
                return NULL;
        free(m->media_type);
        descriptor_clear(&m->config);
        descriptors_free(m->layers, m->n_layers);
        free(m);
        return NULL;
}

int index_parse(const char *data, size_t size, const char *media_type, const char *what,
                Index **ret, Error *e) {
        _cleanup_(index_freep) Index *i = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(data && media_type && what && ret);

        i = calloc(1, sizeof(Index));
        if (!i || !(i->media_type = strdup(media_type)))
                return -ENOMEM;
        r = parse_document(data, size, "document", &j, e);
        if (r == 0)
                r = parse_descriptors(j, "manifests", INDEX_ENTRIES_MAX, &i->manifests,
                                      &i->n_manifests, e);
        if (r != 0)
                return document_error(r, what, e);
        *ret = TAKE_PTR(i);
        return 0;
}

Index *index_free(Index *i) {
        if (!i)
                return NULL;
        free(i->media_type);
        descriptors_free(i->manifests, i->n_manifests);
        free(i);
        return NULL;
}

/* "linux/amd64, linux/arm64", at most a handful. */
static void list_platforms(const Index *i, char *buf, size_t size) {
        size_t used = 0;

        (void) snprintf(buf, size, "none");
        for (size_t k = 0; k < i->n_manifests && used + PLATFORM_STRING_SIZE + 3 < size; k++) {
                char s[PLATFORM_STRING_SIZE];

                if (!i->manifests[k].has_platform)
                        continue;
                used += (size_t) snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
                                          platform_to_string(&i->manifests[k].platform, s));
        }
}

int index_choose(const Index *i, const Platform *platform, const char *what, const Descriptor **ret,
                 Error *e) {
        char wanted[PLATFORM_STRING_SIZE], there[512];
        const Descriptor *best = NULL;
        int best_rank = -1;

        assert(i && platform && ret);

        for (size_t k = 0; k < i->n_manifests; k++) {
                const Descriptor *d = i->manifests + k;
                MediaKind kind = media_type_kind(d->media_type, NULL);
                int rank;

                if (kind != MEDIA_MANIFEST && kind != MEDIA_INDEX)
                        continue;
                /* a single entry without a platform can only be the image itself */
                if (d->has_platform)
                        rank = platform_match(platform, &d->platform);
                else
                        rank = i->n_manifests == 1 ? 0 : -1;
                if (rank > best_rank) {
                        best = d;
                        best_rank = rank;
                }
        }
        if (!best) {
                list_platforms(i, there, sizeof(there));
                return error_setf(e, CTR_NOT_FOUND, "%s has no image for %s; it has: %s", what,
                                  platform_to_string(platform, wanted), there);
        }
        *ret = best;
        return 0;
}
