/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A manifest, index or config as a registry may send it: refused with a sentence, or in bounds. */

#include "image/config.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const Descriptor *d) {
        if (!d->media_type || d->size > BLOB_SIZE_MAX ||
            strlen(d->digest.hex) != digest_hex_length(d->digest.algorithm))
                abort();
}

static void read_manifest(const char *text, size_t size, const char *media_type) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        if (manifest_parse(text, size, media_type, "sample", &m, &e) != 0) {
                if (e.code <= 0 || isempty(e.text))
                        abort();
                return;
        }
        if (m->n_layers > MANIFEST_LAYERS_MAX)
                abort();
        check_descriptor(&m->config);
        for (size_t i = 0; i < m->n_layers; i++)
                check_descriptor(m->layers + i);
}

static void read_index(const char *text, size_t size, const char *media_type) {
        _cleanup_(index_freep) Index *index = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const Descriptor *chosen;
        Platform host;

        if (index_parse(text, size, media_type, "sample", &index, &e) != 0) {
                if (e.code <= 0 || isempty(e.text))
                        abort();
                return;
        }
        platform_host(&host);
        if (index_choose(index, &host, "sample", &chosen, NULL) == 0)
                check_descriptor(chosen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(image_config_freep) ImageConfig *config = NULL;
        _cleanup_free_ char *media_type = NULL;
        const char *text = (const char *) data;
        _cleanup_error_ Error e = ERROR_NULL;
        MediaKind kind;

        if (image_config_parse(text, size, "sample", &config, &e) != 0 &&
            (e.code <= 0 || isempty(e.text)))
                abort();
        if (media_type_identify(text, size, NULL, "sample", &kind, &media_type, NULL) != 0)
                return 0;
        if (kind == MEDIA_MANIFEST)
                read_manifest(text, size, media_type);
        else
                read_index(text, size, media_type);
        return 0;
}
