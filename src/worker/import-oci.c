/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The images of an OCI archive ("Image Layout" of the OCI image specification). */

#include "worker/import.h"

/* What programs write there: containerd's is the whole name, the specification's any text. */
static const char *const name_annotations[] = {"io.containerd.image.name",
                                               "org.opencontainers.image.ref.name"};

static int keep_all(Import *m, const Descriptor *d, unsigned depth, Error *e);

static int keep_manifest(Import *m, const char *data, size_t size, const Descriptor *d, Error *e) {
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        ImportFile *f;
        int r;

        r = manifest_parse_artifact(data, size, d->media_type, DIGEST_STRING(&d->digest), &manifest,
                                    e);
        if (r != 0)
                return r;
        for (size_t i = 0; i <= manifest->n_layers; i++) {
                f = import_find_digest(m, i < manifest->n_layers ? &manifest->layers[i].digest
                                                                 : &manifest->config.digest);
                if (f)
                        f->keep = true;
        }
        return 0;
}

static int keep_index(Import *m, const char *data, size_t size, const Descriptor *d, unsigned depth,
                      Error *e) {
        _cleanup_(index_freep) Index *index = NULL;
        int r;

        r = index_parse(data, size, d->media_type, DIGEST_STRING(&d->digest), &index, e);
        for (size_t i = 0; r == 0 && i < index->n_manifests; i++)
                r = keep_all(m, index->manifests + i, depth + 1, e);
        return r;
}

/* Keeps what a descriptor leads to. What is not in the archive may be in the store, or not needed:
 * whoever unpacks the image sees that. */
static int keep_all(Import *m, const Descriptor *d, unsigned depth, Error *e) {
        _cleanup_free_ char *data = NULL;
        MediaKind kind = media_type_kind(d->media_type, NULL);
        ImportFile *f;
        size_t size;
        int r;

        if (depth >= INDEX_DEPTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Indexes are nested more than %i deep",
                                  INDEX_DEPTH_MAX);
        f = import_find_digest(m, &d->digest);
        if (!f || f->keep)
                return 0;
        f->keep = true;
        if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
                return 0;
        r = import_read_file(m, f, MANIFEST_SIZE_MAX, &data, &size, e);
        if (r != 0)
                return r;
        return kind == MEDIA_INDEX ? keep_index(m, data, size, d, depth, e)
                                   : keep_manifest(m, data, size, d, e);
}

/* The name of the i-th entry, NULL if it has none. */
static const char *entry_name(json_t *index, size_t i) {
        json_t *entry = json_array_get(json_object_get(index, "manifests"), i), *annotations = NULL;
        const char *name = NULL;

        if (json_get_object(entry, "", "annotations", &annotations, NULL) <= 0)
                return NULL;
        for (size_t k = 0; !name && k < ELEMENTSOF(name_annotations); k++)
                (void) json_get_string(annotations, "", name_annotations[k], &name, NULL);
        return name;
}

int import_oci(Import *m, const ImportFile *file, Error *e) {
        _cleanup_(index_freep) Index *index = NULL;
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = import_read_file(m, file, MANIFEST_SIZE_MAX, &data, &size, e);
        if (r == 0)
                r = index_parse(data, size, "application/vnd.oci.image.index.v1+json", "index.json",
                                &index, e);
        if (r == 0)
                r = json_parse(data, size, "index.json", &j, e);
        for (size_t i = 0; r == 0 && i < index->n_manifests; i++) {
                r = import_add_image(m, index->manifests + i, entry_name(j, i), e);
                if (r == 0)
                        r = keep_all(m, index->manifests + i, 0, e);
        }
        return r;
}
