/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An archive as docker save writes it: each layer without compression under its diff id, each
 * config under its digest, and manifest.json that puts them together. */

#include "image/config.h"
#include "image/content.h"
#include "image/hash.h"
#include "image/inflate.h"
#include "worker/document.h"
#include "worker/export.h"

typedef struct Blob {
        int fd;
        off_t offset;
} Blob;

static int read_blob(void *userdata, void *buffer, size_t size, size_t *ret_size, Error *e) {
        Blob *b = userdata;
        ssize_t n;

        do
                n = pread(b->fd, buffer, size, b->offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read a layer: %m");
        b->offset += n;
        *ret_size = (size_t) n;
        return 0;
}

/* Reads the uncompressed layer: its size and digest or (write) its bytes into the archive. */
static int inflate_layer(Export *x, int fd, Compression compression, bool write, uint64_t *ret_size,
                         Digest *ret_digest, Error *e) {
        _cleanup_(inflate_freep) Inflate *inflate = NULL;
        _cleanup_(hash_freep) Hash *hash = NULL;
        Blob blob = {.fd = fd};
        uint64_t total = 0;
        size_t n = 1;
        int r;

        r = hash_new(ret_digest->algorithm, &hash);
        if (r == 0)
                r = inflate_new(compression, read_blob, &blob, &inflate);
        while (r == 0 && n > 0) {
                if (job_is_canceled(&x->job))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                r = inflate_read(inflate, x->buffer, EXPORT_BUFFER_SIZE, &n, e);
                if (r != 0)
                        break;
                total += n;
                r = hash_update(hash, x->buffer, n);
                if (r == 0 && write) {
                        r = image_writer_data(x->writer, x->buffer, n, e);
                        export_count(x, n);
                }
        }
        *ret_size = total;
        return r == 0 ? hash_final(hash, ret_digest) : r;
}

/* Twice through it: the size is needed before the data. */
static int write_layer(Export *x, const Descriptor *d, const Digest *diff_id, const char *name,
                       Error *e) {
        _cleanup_close_ int fd = -1;
        Digest digest = *diff_id;
        Compression compression;
        uint64_t size;
        int r;

        (void) media_type_kind(d->media_type, &compression);
        r = content_open_blob(x->store.content_fd, &d->digest, &fd, NULL, e);
        if (r == 0)
                r = inflate_layer(x, fd, compression, false, &size, &digest, e);
        if (r == 0 && !digest_equal(&digest, diff_id))
                return error_setf(e, CTR_DATA_LOSS,
                                  "The layer %s is not the one that the config means",
                                  DIGEST_STRING(&d->digest));
        if (r == 0)
                r = image_writer_begin(x->writer, name, size, e);
        return r == 0 ? inflate_layer(x, fd, compression, true, &size, &digest, e) : r;
}

/* What was written already, in another image: names of files in the archive. */
static bool is_written(json_t *written, const char *name) {
        if (json_object_get(written, name))
                return true;
        (void) json_object_set_new(written, name, json_true());
        return false;
}

static int write_layers(Export *x, const Manifest *m, const ImageConfig *config, json_t *written,
                        json_t *names, Error *e) {
        int r = 0;

        if (config->n_diff_ids != m->n_layers)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The manifest has %zu layers, the config has %zu diff_ids",
                                  m->n_layers, config->n_diff_ids);
        for (size_t i = 0; r == 0 && i < m->n_layers; i++) {
                char name[DIGEST_HEX_MAX + 8];

                (void) snprintf(name, sizeof(name), "%s.tar", config->diff_ids[i].hex);
                if (!is_written(written, name))
                        r = write_layer(x, m->layers + i, config->diff_ids + i, name, e);
                if (r == 0 && json_array_append_new(names, json_string(name)) < 0)
                        r = -ENOMEM;
        }
        return r;
}

/* One image: *ret is its entry in manifest.json. */
static int write_image(Export *x, size_t i, json_t *written, json_t **ret, Error *e) {
        _cleanup_(image_config_freep) ImageConfig *config = NULL;
        _cleanup_(text_clear) Text manifest = {}, document = {};
        _cleanup_(manifest_freep) Manifest *m = NULL;
        _cleanup_json_ json_t *layers = json_array(), *tags = json_array();
        const Descriptor *d = x->targets + i;
        char name[DIGEST_HEX_MAX + 8];
        int r;

        if (!layers || !tags)
                return -ENOMEM;
        if (media_type_kind(d->media_type, NULL) != MEDIA_MANIFEST)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "An archive of docker has no place for an index");
        r = text_read_stored(x->store.content_fd, &d->digest, &manifest, e);
        if (r == 0)
                r = manifest_parse(manifest.data, manifest.size, d->media_type,
                                   DIGEST_STRING(&d->digest), &m, e);
        if (r == 0)
                r = text_read_stored(x->store.content_fd, &m->config.digest, &document, e);
        if (r == 0)
                r = image_config_parse(document.data, document.size, DIGEST_STRING(&d->digest),
                                       &config, e);
        if (r == 0)
                r = write_layers(x, m, config, written, layers, e);
        if (r != 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s.json", m->config.digest.hex);
        if (!is_written(written, name))
                r = export_blob(x, &m->config, name, e);
        for (size_t k = 0; k < x->options->n_names; k++)
                if (x->options->names[k].image == i)
                        (void) json_array_append_new(tags, json_string(x->options->names[k].name));
        if (r == 0)
                *ret = json_pack("{s:s, s:O, s:O}", "Config", name, "RepoTags", tags, "Layers",
                                 layers);
        return r != 0 ? r : *ret ? 0 : -ENOMEM;
}

int export_docker(Export *x, Error *e) {
        _cleanup_json_ json_t *list = json_array(), *written = json_object();
        _cleanup_free_ char *text = NULL;
        int r = list && written ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < x->options->n_images; i++) {
                json_t *entry = NULL;

                r = write_image(x, i, written, &entry, e);
                if (r == 0 && json_array_append_new(list, entry) < 0)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = json_to_text(list, &text);
        return r == 0 ? image_writer_file(x->writer, "manifest.json", text, strlen(text), e) : r;
}
