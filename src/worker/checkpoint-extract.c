/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "image/content.h"
#include "image/inflate.h"
#include "snapshot/apply.h"
#include "snapshot/inherit.h"
#include "snapshot/overlayfs.h"
#include "worker/checkpoint.h"

#define INDEX_MAX     (4U * 1024 * 1024)
#define MANIFESTS_MAX 1024U
#define PIECE_SIZE    (128U * 1024)
/* of whatever a checkpoint is packed in */
#define CHECKPOINT_MEDIA_TYPES "application/vnd.containerd.container.criu.checkpoint."

/* What an index has for a restore. */
typedef struct Found {
        bool has_images, has_root;
        Digest images, root;
        Compression compression; /* of the root */
} Found;

/* A blob on its way out of the content store. */
typedef struct Source {
        int fd;
        Inflate *inflate;
        char piece[PIECE_SIZE];
} Source;

static int source_read_blob(void *userdata, void *buf, size_t size, size_t *ret_size, Error *e) {
        Source *s = userdata;
        ssize_t n;

        do
                n = read(s->fd, buf, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read the checkpoint: %m");
        *ret_size = (size_t) n;
        return 0;
}

static int source_read(void *userdata, const void **ret_data, size_t *ret_size, Error *e) {
        Source *s = userdata;

        *ret_data = s->piece;
        return inflate_read(s->inflate, s->piece, sizeof(s->piece), ret_size, e);
}

static int find_manifest(json_t *manifest, Found *f, Error *e) {
        const char *type = json_string_value(json_object_get(manifest, "mediaType"));
        const char *digest = json_string_value(json_object_get(manifest, "digest"));

        if (!type || !digest)
                return 0;
        if (streq(type, CHECKPOINT_MEDIA_TYPE) && !f->has_images) {
                f->has_images = true;
                return digest_parse(digest, &f->images, e);
        }
        if (startswith(type, CHECKPOINT_MEDIA_TYPES) && !f->has_images)
                return error_setf(e, CTR_INVALID_ARGUMENT, "unsupported checkpoint type \"%s\"",
                                  type);
        if (media_type_kind(type, &f->compression) != MEDIA_LAYER)
                return 0;
        if (f->has_root)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The checkpoint has more than one layer of files");
        f->has_root = true;
        return digest_parse(digest, &f->root, e);
}

static int find_manifests(json_t *index, const char *digest, Found *f, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        json_t *manifests = NULL, *manifest;
        size_t i;
        int r = 0;

        if (json_is_object(index))
                r = json_get_array(index, "", "manifests", MANIFESTS_MAX, &manifests, &local);
        if (r < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: %s", digest, error_text(&local));
        json_array_foreach(manifests, i, manifest) {
                r = find_manifest(manifest, f, e);
                if (r != 0)
                        return r;
        }
        return f->has_images ? 0
                             : error_setf(e, CTR_INVALID_ARGUMENT,
                                          "checkpoint not found in index %s", digest);
}

static int read_index(const Store *s, const char *digest, Found *f, Error *e) {
        _cleanup_json_ json_t *index = NULL;
        _cleanup_free_ char *text = NULL;
        Digest d;
        size_t size;
        int r;

        r = digest_parse(digest, &d, e);
        if (r != 0)
                return r;
        r = content_read_blob(s->content_fd, &d, INDEX_MAX, &text, &size, e);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, r, "The index %s is missing in the content store", digest);
        if (r == 0)
                r = json_parse(text, size, "the index", &index, e);
        return r != 0 ? r : find_manifests(index, digest, f, e);
}

static int extract(const Store *s, const Digest *blob, Compression compression, int dir_fd,
                   int links_fd, ApplyResult *result, Error *e) {
        Source source = {.fd = -1};
        int r;

        r = content_open_blob(s->content_fd, blob, &source.fd, NULL, e);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, r, "The content %s of the checkpoint is missing",
                                  DIGEST_STRING(blob));
        if (r == 0)
                r = inflate_new(compression, source_read_blob, &source, &source.inflate);
        if (r == 0)
                r = layer_apply(dir_fd, links_fd, source_read, &source, &apply_limits_default,
                                result, e);
        inflate_free(source.inflate);
        fd_close(source.fd);
        return r;
}

/* CRIU opens what it finds by name, as root: there is nothing but files for it. */
static int check_images(int images_fd, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        struct stat st;

        dir = dir_stream_open_at(images_fd, ".");
        while (dir && (errno = 0, de = readdir(dir))) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                if (fstatat(images_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        break;
                if (!S_ISREG(st.st_mode))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" in the checkpoint is no regular file",
                                          de->d_name);
        }
        return errno == 0 ? 0
                          : error_setf(e, -errno, "Failed to look at the extracted checkpoint: %m");
}

static int make_directory(int dir_fd, const char *name, mode_t mode, int *ret_fd, Error *e) {
        int fd = -1;

        if (mkdirat(dir_fd, name, mode) >= 0)
                fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make %s for the checkpoint: %m", name);
        *ret_fd = fd;
        return 0;
}

static int extract_images(const Store *s, const Found *f, int dir_fd, Error *e) {
        _cleanup_(apply_result_clear) ApplyResult result = {};
        _cleanup_close_ int fd = -1;
        int r;

        r = make_directory(dir_fd, CHECKPOINT_IMAGES, 0700, &fd, e);
        if (r == 0)
                r = extract(s, &f->images, COMPRESSION_NONE, fd, -1, &result, e);
        return r != 0 ? r : check_images(fd, e);
}

/* What the layer takes from those below. */
static int inherit(const Store *s, const char *name, int fs_fd, int links_fd,
                   const uint64_t *layers, size_t n_layers, ApplyResult *result, Error *e) {
        _cleanup_free_ int *fds = calloc(n_layers + 1, sizeof(int));
        size_t n = 0;
        int r = 0;

        if (!fds)
                return -ENOMEM;
        while (n < n_layers && r == 0) {
                r = overlayfs_open_tree(s->snapshots_fd, layers[n], &fds[n], e);
                n += r == 0;
        }
        if (r == 0)
                r = layer_inherit(fs_fd, links_fd, &apply_limits_default, fds, n, result, e);
        if (r == 0)
                r = overlayfs_remove_links(s->snapshots_fd, name, e);
        while (n > 0)
                fd_close(fds[--n]);
        return r;
}

static int extract_root(const Store *s, const Found *f, const char *name, int dir_fd,
                        const uint64_t *layers, size_t n_layers, Error *e) {
        _cleanup_(apply_result_clear) ApplyResult result = {};
        _cleanup_close_ int fs_fd = -1, links_fd = -1;
        int r;

        r = make_directory(dir_fd, CHECKPOINT_ROOT, 0755, &fs_fd, e);
        if (r == 0)
                r = overlayfs_open_links(s->snapshots_fd, name, &links_fd, e);
        if (r == 0)
                r = extract(s, &f->root, f->compression, fs_fd, links_fd, &result, e);
        if (r == 0)
                r = inherit(s, name, fs_fd, links_fd, layers, n_layers, &result, e);
        /* what is there instead of it will be removed */
        if (r == 0 && syncfs(fs_fd) < 0)
                r = error_setf(e, -errno, "Failed to write the files of the checkpoint: %m");
        return r != 0 ? error_prefix(e, r, "The files of the checkpoint") : 0;
}

int checkpoint_extract(const Store *s, const char *digest, const char *name, const uint64_t *layers,
                       size_t n_layers, bool *ret_root, Error *e) {
        _cleanup_close_ int dir_fd = -1;
        Found found = {};
        int r;

        r = read_index(s, digest, &found, e);
        if (r != 0)
                return r;
        dir_fd = openat(s->snapshots_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir_fd < 0)
                return error_setf(e, -errno, "Failed to open the directory %s: %m", name);
        r = extract_images(s, &found, dir_fd, e);
        if (r == 0 && found.has_root)
                r = extract_root(s, &found, name, dir_fd, layers, n_layers, e);
        if (r == 0)
                *ret_root = found.has_root;
        return r;
}
