/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The documents of a committed image: those of the image below with what is new. What is not known
 * here is taken over as it is; the manifest is always one of OCI, so that layers of Docker's media
 * types are called by OCI's names for the same thing.
 */

#include <time.h>

#include "basic/clock.h"
#include "image/content.h"
#include "worker/commit.h"
#include "worker/config-changes.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker.image.rootfs."

static const char *const layer_types[] = {
                [COMPRESSION_NONE] = OCI "layer.v1.tar",
                [COMPRESSION_GZIP] = OCI "layer.v1.tar+gzip",
                [COMPRESSION_ZSTD] = OCI "layer.v1.tar+zstd",
};

static const struct {
        const char *docker, *oci;
} renamed[] = {
                {DOCKER "diff.tar", OCI "layer.v1.tar"},
                {DOCKER "diff.tar.gzip", OCI "layer.v1.tar+gzip"},
                {DOCKER "diff.tar.zstd", OCI "layer.v1.tar+zstd"},
                {DOCKER "foreign.diff.tar", OCI "layer.nondistributable.v1.tar"},
                {DOCKER "foreign.diff.tar.gzip", OCI "layer.nondistributable.v1.tar+gzip"},
};

/* What the config said of the container that Docker made the image in. */
static const char *const stale[] = {"container", "container_config", "id", "parent"};

static int read_document(const Commit *c, const Digest *d, size_t max, const char *what,
                         json_t **ret, char **ret_text, size_t *ret_size, Error *e) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = content_read_blob(c->store.content_fd, d, max, &text, &size, e);
        if (r == CTR_NOT_FOUND) {
                error_clear(e);
                return error_setf(e, CTR_NOT_FOUND,
                                  "The %s of the container's image is not there any more", what);
        }
        if (r == 0)
                r = json_parse(text, size, what, ret, e);
        if (r == 0 && ret_text) {
                *ret_text = TAKE_PTR(text);
                *ret_size = size;
        }
        return r;
}

static const char *oci_type(const char *type) {
        for (size_t i = 0; i < ELEMENTSOF(renamed); i++)
                if (streq(type, renamed[i].docker))
                        return renamed[i].oci;
        return type;
}

/* All of the layers' descriptors, with their other members. */
static int begin_manifest(Commit *c, json_t *base, Error *e) {
        json_t *layers, *layer;
        size_t i;
        int r;

        r = json_get_array(base, "", "layers", MANIFEST_LAYERS_MAX - c->options->own.n_layers,
                           &layers, e);
        if (r <= 0)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The container's image has no layers, or too many for one more");
        layers = json_deep_copy(layers);
        json_array_foreach(layers, i, layer) {
                const char *type = json_string_value(json_object_get(layer, "mediaType"));

                if (type &&
                    json_object_set_new(layer, "mediaType", json_string(oci_type(type))) < 0)
                        return -ENOMEM;
        }
        c->manifest = json_pack("{si ss so so s{ss}}", "schemaVersion", 2, "mediaType",
                                OCI "manifest.v1+json", "config", json_object(), "layers", layers,
                                "annotations", "org.opencontainers.image.base.digest",
                                DIGEST_STRING(&c->options->base));
        return c->manifest ? 0 : -ENOMEM;
}

static int format_time(uint64_t usec, char *ret, size_t size) {
        time_t sec = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;
        size_t n;

        if (!gmtime_r(&sec, &tm) || (n = strftime(ret, size, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
                return -EINVAL;
        (void) snprintf(ret + n, size - n, ".%06uZ", (unsigned) (usec % USEC_PER_SEC));
        return 0;
}

static int set_optional(json_t *o, const char *key, const char *value) {
        return isempty(value) ? 0 : json_object_set_new(o, key, json_string(value));
}

/* created, author and one more entry of the history. */
static int add_history(Commit *c, Error *e) {
        const char *author = NULL, *comment = NULL, *created_by = NULL;
        json_t *request = c->options->request, *history, *entry;
        uint64_t time = now_realtime();
        char created[64];
        int r;

        if ((r = json_get_string(request, "request", "author", &author, e)) < 0 ||
            (r = json_get_string(request, "request", "comment", &comment, e)) < 0 ||
            (r = json_get_string(request, "request", "created_by", &created_by, e)) < 0 ||
            (r = json_get_uint64(request, "request", "created_at", INT64_MAX, &time, e)) < 0 ||
            (r = format_time(time, created, sizeof(created))) < 0)
                return r;
        history = json_object_get(c->config, "history");
        if (!json_is_array(history)) {
                history = json_array();
                if (json_object_set_new(c->config, "history", history) < 0)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < c->options->own.n_layers; i++) {
                bool top = i + 1 == c->options->own.n_layers;

                entry = json_pack("{ss}", "created", created);
                if (json_array_append_new(history, entry) < 0 ||
                    set_optional(entry, "created_by", created_by) < 0 ||
                    set_optional(entry, "author", top ? author : NULL) < 0 ||
                    set_optional(entry, "comment", top ? comment : NULL) < 0)
                        return -ENOMEM;
        }
        if (json_object_set_new(c->config, "created", json_string(created)) < 0 ||
            set_optional(c->config, "author", author) < 0)
                return -ENOMEM;
        return 0;
}

/* The documents have been checked by who pulled or imported them, and are again: a store can be
 * damaged. */
int commit_read_base(Commit *c, Error *e) {
        _cleanup_(manifest_freep) Manifest *parsed = NULL;
        _cleanup_(image_config_freep) ImageConfig *known = NULL;
        _cleanup_free_ char *text = NULL, *config_text = NULL;
        _cleanup_json_ json_t *base = NULL;
        json_t *inner;
        const char *type;
        size_t size, config_size;
        int r;

        r = read_document(c, &c->options->base, MANIFEST_SIZE_MAX, "manifest", &base, &text, &size,
                          e);
        if (r != 0)
                return r;
        type = json_string_value(json_object_get(base, "mediaType"));
        r = manifest_parse(text, size, type ?: OCI "manifest.v1+json", "manifest", &parsed, e);
        if (r == 0)
                r = begin_manifest(c, base, e);
        if (r == 0)
                r = read_document(c, &parsed->config.digest, CONFIG_SIZE_MAX, "config", &c->config,
                                  &config_text, &config_size, e);
        if (r == 0)
                r = image_config_parse(config_text, config_size, "config", &known, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(stale); i++)
                (void) json_object_del(c->config, stale[i]);
        inner = json_object_get(c->config, "config");
        if (!json_is_object(inner) &&
            json_object_set_new(c->config, "config", inner = json_object()) < 0)
                return -ENOMEM;
        r = config_apply_changes(inner, c->options->request, e);
        return r == 0 ? add_history(c, e) : r;
}

int commit_add_layer(Commit *c, const CommitLayer *layer, Error *e) {
        json_t *ids = json_object_get(json_object_get(c->config, "rootfs"), "diff_ids");

        if (json_array_append_new(ids, json_string(DIGEST_STRING(&layer->diff_id))) < 0 ||
            json_array_append_new(json_object_get(c->manifest, "layers"),
                                  json_pack("{ss ss sI}", "mediaType",
                                            layer_types[c->options->compression], "digest",
                                            DIGEST_STRING(ingest_digest(layer->ingest)), "size",
                                            (json_int_t) ingest_offset(layer->ingest))) < 0)
                return -ENOMEM;
        return 0;
}
