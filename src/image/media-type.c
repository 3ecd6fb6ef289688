/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/media-type.h"

#include "basic/json.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
        const char *name;
        MediaKind kind;
        Compression compression;
} media_types[] = {
                {OCI "index.v1+json", MEDIA_INDEX, 0},
                {OCI "manifest.v1+json", MEDIA_MANIFEST, 0},
                {OCI "config.v1+json", MEDIA_CONFIG, 0},
                {OCI "layer.v1.tar", MEDIA_LAYER, COMPRESSION_NONE},
                {OCI "layer.v1.tar+gzip", MEDIA_LAYER, COMPRESSION_GZIP},
                {OCI "layer.v1.tar+zstd", MEDIA_LAYER, COMPRESSION_ZSTD},
                {OCI "layer.nondistributable.v1.tar", MEDIA_LAYER, COMPRESSION_NONE},
                {OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, COMPRESSION_GZIP},
                {OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, COMPRESSION_ZSTD},
                {DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX, 0},
                {DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST, 0},
                {DOCKER "container.image.v1+json", MEDIA_CONFIG, 0},
                {DOCKER "image.rootfs.diff.tar", MEDIA_LAYER, COMPRESSION_NONE},
                {DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, COMPRESSION_GZIP},
                {DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER, COMPRESSION_ZSTD},
                {DOCKER "image.rootfs.foreign.diff.tar", MEDIA_LAYER, COMPRESSION_NONE},
                {DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, COMPRESSION_GZIP},
};

const char media_types_manifest_accept[] =
                OCI "index.v1+json, " OCI "manifest.v1+json, " DOCKER
                    "distribution.manifest.list.v2+json, " DOCKER "distribution.manifest.v2+json";

MediaKind media_type_kind(const char *media_type, Compression *ret_compression) {
        for (size_t i = 0; i < ELEMENTSOF(media_types); i++)
                if (streq(media_types[i].name, media_type)) {
                        if (ret_compression)
                                *ret_compression = media_types[i].compression;
                        return media_types[i].kind;
                }
        return MEDIA_UNKNOWN;
}

bool media_type_is_nondistributable(const char *media_type) {
        return strstr(media_type, "nondistributable") || strstr(media_type, ".foreign.");
}

bool media_type_is_encrypted(const char *media_type) {
        size_t n = strlen(media_type), suffix = STRLEN("+encrypted");

        return n > suffix && streq(media_type + n - suffix, "+encrypted");
}

/* What servers send when they do not know better. */
static bool content_type_is_vague(const char *s) {
        return *s == '\0' || streq(s, "application/json") || streq(s, "text/plain") ||
               streq(s, "application/octet-stream");
}

/* The media type without parameters, in lower case. */
static char *content_type_strip(const char *content_type) {
        size_t n = strcspn(strempty(content_type), "; \t");
        char *s;

        s = strndup(strempty(content_type), n);
        for (char *p = s; p && *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char) (*p - 'A' + 'a');
        return s;
}

int media_type_identify(const char *data, size_t size, const char *content_type, const char *what,
                        MediaKind *ret_kind, char **ret_media_type, Error *e) {
        _cleanup_free_ char *media_type = NULL;
        _cleanup_json_ json_t *j = NULL;
        const char *own = NULL;
        MediaKind kind;
        int r;

        assert(data && what && ret_kind && ret_media_type);

        media_type = content_type_strip(content_type);
        if (!media_type)
                return -ENOMEM;
        kind = media_type_kind(media_type, NULL);
        if (!content_type_is_vague(media_type) && kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "%s has the media type \"%.120s\", which is neither an image "
                                  "manifest nor an index",
                                  what, media_type);

        r = json_parse(data, size, what, &j, e);
        if (r != 0)
                return r;
        if (json_get_string(j, "", "mediaType", &own, e) < 0)
                return error_prefix(e, CTR_INVALID_ARGUMENT, "%s", what);
        if (own && !content_type_is_vague(media_type) && !streq(own, media_type))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s was delivered as \"%s\", but calls itself \"%.120s\"", what,
                                  media_type, own);
        if (content_type_is_vague(media_type)) {
                /* an old OCI manifest without mediaType shows what it is by its members */
                if (!own)
                        own = json_object_get(j, "manifests") ? OCI "index.v1+json"
                              : json_object_get(j, "layers")  ? OCI "manifest.v1+json"
                                                              : "unknown";
                r = free_and_strdup(&media_type, own);
                if (r < 0)
                        return r;
                kind = media_type_kind(media_type, NULL);
        }
        if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "%s has the media type \"%.120s\", which is neither an image "
                                  "manifest nor an index",
                                  what, media_type);
        /* a document that is both could be read in two ways by two programs */
        if (json_object_get(j, "manifests") && json_object_get(j, "layers"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s has both \"manifests\" and \"layers\"", what);

        *ret_kind = kind;
        *ret_media_type = TAKE_PTR(media_type);
        return 0;
}
