/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/json.h"
#include "image/content.h"
#include "snapshot/apply.h"
#include "worker/checkpoint.h"

#define INDEX_MAX     (4U * 1024 * 1024)
#define MANIFESTS_MAX 1024U
#define PIECE_SIZE    (128U * 1024)

typedef struct Source {
        int fd;
        char piece[PIECE_SIZE];
} Source;

static int source_read(void *userdata, const void **ret_data, size_t *ret_size, Error *e) {
        Source *s = userdata;
        ssize_t n = read(s->fd, s->piece, sizeof(s->piece));

        if (n < 0)
                return error_setf(e, -errno, "Failed to read the checkpoint: %m");
        *ret_data = s->piece;
        *ret_size = (size_t) n;
        return 0;
}

/* The digest of the first manifest that is a checkpoint. */
static int find_checkpoint(json_t *index, const char *digest, Digest *ret, Error *e) {
        json_t *manifests = NULL, *manifest;
        size_t i;
        int r;

        r = json_is_object(index)
                            ? json_get_array(index, "", "manifests", MANIFESTS_MAX, &manifests, e)
                            : 0;
        if (r < 0)
                return r;
        json_array_foreach(manifests, i, manifest) {
                const char *type = json_string_value(json_object_get(manifest, "mediaType"));
                const char *blob = json_string_value(json_object_get(manifest, "digest"));

                if (type && blob && streq(type, CHECKPOINT_MEDIA_TYPE))
                        return digest_parse(blob, ret, e);
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "checkpoint not found in index %s", digest);
}

static int open_checkpoint(const Store *s, const char *digest, int *ret_fd, Error *e) {
        _cleanup_json_ json_t *index = NULL;
        _cleanup_free_ char *text = NULL;
        Digest d;
        size_t size;
        int r;

        r = digest_parse(digest, &d, e);
        if (r != 0)
                return r;
        r = content_read_blob(s->content_fd, &d, INDEX_MAX, &text, &size, e);
        if (r == 0)
                r = json_parse(text, size, "the index", &index, e);
        if (r == 0)
                r = find_checkpoint(index, digest, &d, e);
        if (r == 0)
                r = content_open_blob(s->content_fd, &d, ret_fd, NULL, e);
        if (r == CTR_NOT_FOUND && (!e || e->code == 0))
                return error_setf(e, r, "The content of the checkpoint %s is missing", digest);
        return r;
}

int checkpoint_extract(const Store *s, const char *digest, const char *name, Error *e) {
        _cleanup_close_ int dir_fd = -1, images_fd = -1;
        ApplyResult result = {};
        Source source;
        int r;

        r = open_checkpoint(s, digest, &source.fd, e);
        if (r != 0)
                return r;
        dir_fd = openat(s->snapshots_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir_fd < 0 || mkdirat(dir_fd, CHECKPOINT_IMAGES, 0700) < 0)
                r = error_setf(e, -errno, "Failed to make the directory of the checkpoint: %m");
        if (r == 0) {
                images_fd = openat(dir_fd, CHECKPOINT_IMAGES,
                                   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                r = images_fd < 0 ? error_setf(e, -errno, "Failed to open the directory: %m")
                                  : layer_apply(images_fd, -1, source_read, &source,
                                                &apply_limits_default, &result, e);
        }
        fd_close(source.fd);
        apply_result_clear(&result);
        return r;
}
