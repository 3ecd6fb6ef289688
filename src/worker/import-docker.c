/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Images without an OCI manifest: those of `docker save`, which have a config and layers, and a
 * root file system, which is but a layer. The manifest that they get says what is there: layers as
 * they are, compressed or not, by the digests computed while they were read. Equal archives give
 * equal manifests.
 */

#include "image/content.h"
#include "image/hash.h"
#include "image/inflate.h"
#include "worker/config-changes.h"
#include "worker/import.h"

#define OCI         "application/vnd.oci.image."
#define BUFFER_SIZE (256 * 1024)

static const char *const layer_types[] = {
                [COMPRESSION_NONE] = OCI "layer.v1.tar",
                [COMPRESSION_GZIP] = OCI "layer.v1.tar+gzip",
                [COMPRESSION_ZSTD] = OCI "layer.v1.tar+zstd",
};

static json_t *descriptor(const char *media_type, const ImportFile *f) {
        return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest",
                         DIGEST_STRING(&f->digest), "size", (json_int_t) f->size);
}

static int file_compression(Import *m, const ImportFile *f, Compression *ret, Error *e) {
        _cleanup_close_ int stored_fd = -1;
        char head[8];
        ssize_t n;
        int r;

        if (!f->ingest) {
                r = content_open_blob(m->store.content_fd, &f->digest, &stored_fd, NULL, e);
                if (r != 0)
                        return r;
        }
        n = pread(f->ingest ? ingest_fd(f->ingest) : stored_fd, head, sizeof(head), 0);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read \"%s\": %m", strempty(f->name));
        *ret = compression_detect(head, (size_t) n);
        return 0;
}

/* Appends the descriptor of a layer, and keeps it. */
static int add_layer(Import *m, ImportFile *f, json_t *layers, Error *e) {
        Compression compression;
        int r;

        r = file_compression(m, f, &compression, e);
        if (r != 0)
                return r;
        f->keep = true;
        return json_array_append_new(layers, descriptor(layer_types[compression], f)) < 0 ? -ENOMEM
                                                                                          : 0;
}

/* Takes over layers. */
static int add_manifest(Import *m, ImportFile *config, json_t *layers, Descriptor *ret, Error *e) {
        _cleanup_free_ char *text = NULL, *media_type = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        config->keep = true;
        j = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
                      OCI "manifest.v1+json", "config", descriptor(OCI "config.v1+json", config),
                      "layers", layers);
        media_type = strdup(OCI "manifest.v1+json");
        r = j && media_type ? json_to_text(j, &text) : -ENOMEM;
        if (r == 0)
                r = import_add_document(m, text, strlen(text), &ret->digest, e);
        if (r != 0)
                return r;
        ret->size = strlen(text);
        ret->media_type = TAKE_PTR(media_type);
        return 0;
}

static ImportFile *find_named(Import *m, json_t *value, Error *e) {
        const char *name = json_string_value(value);
        ImportFile *f = name ? import_find(m, name) : NULL;

        if (!f)
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "manifest.json: \"%.200s\" is not in the archive",
                                  strempty(name));
        return f;
}

static int import_one(Import *m, json_t *item, Error *e) {
        _cleanup_(descriptor_clear) Descriptor target = {};
        json_t *names, *layers, *value, *list = NULL;
        ImportFile *config, *f;
        size_t i;
        int r;

        layers = json_object_get(item, "Layers");
        names = json_object_get(item, "RepoTags");
        if (!json_is_array(layers) || json_array_size(layers) > MANIFEST_LAYERS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "manifest.json: Layers: expected at most %i names",
                                  MANIFEST_LAYERS_MAX);
        list = json_array();
        if (!list)
                return -ENOMEM;
        r = 0;
        json_array_foreach(layers, i, value) {
                f = find_named(m, value, e);
                r = f ? add_layer(m, f, list, e) : CTR_INVALID_ARGUMENT;
                if (r != 0)
                        break;
        }
        config = r == 0 ? find_named(m, json_object_get(item, "Config"), e) : NULL;
        if (!config) {
                json_decref(list);
                return r != 0 ? r : CTR_INVALID_ARGUMENT;
        }
        r = add_manifest(m, config, list, &target, e);
        if (r == 0)
                r = import_add_image(m, &target, NULL, e);
        json_array_foreach(names, i, value)
                if (r == 0 && json_is_string(value))
                        r = import_add_image(m, &target, json_string_value(value), e);
        return r;
}

int import_docker(Import *m, const ImportFile *file, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *data = NULL;
        json_t *item;
        size_t size, i;
        int r;

        r = import_read_file(m, file, MANIFEST_SIZE_MAX, &data, &size, e);
        if (r == 0)
                r = json_parse(data, size, "manifest.json", &j, e);
        if (r != 0)
                return r;
        if (!json_is_array(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "manifest.json: expected an array");
        json_array_foreach(j, i, item) {
                r = import_one(m, item, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* InflateSource */
typedef struct Blob {
        int fd;
        off_t offset;
} Blob;

static int read_blob(void *userdata, void *buffer, size_t size, size_t *ret_size, Error *e) {
        Blob *b = userdata;
        ssize_t n = pread(b->fd, buffer, size, b->offset);

        if (n < 0)
                return error_setf(e, -errno, "Failed to read the layer: %m");
        b->offset += n;
        *ret_size = (size_t) n;
        return 0;
}

/* The digest of a layer without its compression. */
static int compute_diff_id(Import *m, const ImportFile *f, Compression compression, Digest *ret,
                           Error *e) {
        _cleanup_(inflate_freep) Inflate *inflate = NULL;
        _cleanup_(hash_freep) Hash *hash = NULL;
        _cleanup_free_ char *buffer = NULL;
        Blob blob = {.fd = ingest_fd(f->ingest)};
        uint64_t total = 0;
        size_t n = 1;
        int r;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                return -ENOMEM;
        r = hash_new(DIGEST_SHA256, &hash);
        if (r == 0)
                r = inflate_new(compression, read_blob, &blob, &inflate);
        while (r == 0 && n > 0) {
                if (job_is_canceled(&m->job))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                r = inflate_read(inflate, buffer, BUFFER_SIZE, &n, e);
                total += r == 0 ? n : 0;
                if (total > m->options->pull.limits.bytes)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The uncompressed layer is larger than %llu bytes",
                                          (unsigned long long) m->options->pull.limits.bytes);
                if (r == 0 && n > 0)
                        r = hash_update(hash, buffer, n);
        }
        return r == 0 ? hash_final(hash, ret) : r;
}

static int read_layer(Import *m, ImportFile *f, Error *e) {
        _cleanup_free_ char *buffer = NULL;
        size_t n = 1;
        int r;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                return -ENOMEM;
        r = ingest_open_unknown(m->store.content_fd, &f->ingest, e);
        while (r == 0 && n > 0) {
                r = fd_read_canceled(m->fd, buffer, BUFFER_SIZE, &m->job.canceled, &n, e);
                if (r == 0 && ingest_offset(f->ingest) + n > m->options->pull.limits.bytes)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The archive is larger than %llu bytes",
                                          (unsigned long long) m->options->pull.limits.bytes);
                if (r == 0 && n > 0)
                        r = ingest_write(f->ingest, buffer, n, e);
        }
        if (r == 0)
                r = ingest_verify(f->ingest, e);
        if (r != 0)
                return r;
        f->digest = *ingest_digest(f->ingest);
        f->size = ingest_offset(f->ingest);
        return 0;
}

/* The request counts before anything of the archive was read. */
static int begin_config(Import *m, json_t **ret, Error *e) {
        const Platform *platform = &m->options->pull.platform;
        _cleanup_json_ json_t *j = NULL;
        const char *comment = NULL;
        int r;

        r = json_get_string(m->options->request, "request", "comment", &comment, e);
        if (r < 0)
                return r;
        j = json_pack("{s:s, s:s, s:{}, s:[{s:s, s:s*}]}", "architecture", platform->architecture,
                      "os", platform->os, "config", "history", "created_by",
                      "import of a root file system", "comment", comment);
        if (!j || (*platform->variant &&
                   json_object_set_new(j, "variant", json_string(platform->variant)) < 0))
                return -ENOMEM;
        r = config_apply_changes(json_object_get(j, "config"), m->options->request, e);
        if (r == 0)
                *ret = TAKE_PTR(j);
        return r;
}

static int add_rootfs_config(Import *m, json_t *config, const Digest *diff_id, Digest *ret,
                             Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (json_object_set_new(config, "rootfs",
                                json_pack("{s:s, s:[s]}", "type", "layers", "diff_ids",
                                          DIGEST_STRING(diff_id))) < 0)
                return -ENOMEM;
        r = json_to_text(config, &text);
        return r == 0 ? import_add_document(m, text, strlen(text), ret, e) : r;
}

int import_rootfs(Import *m, Error *e) {
        _cleanup_json_ json_t *config = NULL, *layers = json_array();
        _cleanup_(descriptor_clear) Descriptor target = {};
        Compression compression;
        Digest diff_id, digest;
        ImportFile *f = NULL;
        int r;

        r = layers ? begin_config(m, &config, e) : -ENOMEM;
        if (r == 0)
                r = import_add_file(m, NULL, &f, e);
        if (r == 0)
                r = read_layer(m, f, e);
        if (r == 0)
                r = file_compression(m, f, &compression, e);
        if (r == 0)
                r = compute_diff_id(m, f, compression, &diff_id, e);
        if (r == 0)
                r = add_layer(m, f, layers, e);
        if (r == 0)
                r = add_rootfs_config(m, config, &diff_id, &digest, e);
        if (r == 0)
                r = add_manifest(m, import_find_digest(m, &digest), TAKE_PTR(layers), &target, e);
        return r == 0 ? import_add_image(m, &target, NULL, e) : r;
}
