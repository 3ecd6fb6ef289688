/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/checkpoint-image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "image/digest.h"
#include "image/platform.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define LABEL "containerd.io/checkpoint"

int checkpoint_directory_new(Manager *m, const char *prefix, char **ret_name, char **ret_path,
                             Error *e) {
        _cleanup_free_ char *name = NULL, *path = NULL;
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return error_setf(e, -EIO, "Failed to find a name for a checkpoint");
        if (asprintf(&name, "%s%016" PRIx64, prefix, random) < 0 ||
            asprintf(&path, "%s/" OVERLAYFS_DIRECTORY "/%s/images", m->state_dir, name) < 0)
                return -ENOMEM;
        if (mkdirat(m->snapshots_fd, name, 0700) < 0)
                return error_setf(e, -errno, "Failed to make a directory for a checkpoint: %m");
        *ret_name = TAKE_PTR(name);
        *ret_path = TAKE_PTR(path);
        return 0;
}

void checkpoint_directory_discard(Manager *m, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (!name)
                return;
        if (overlayfs_discard(m->snapshots_fd, name, &e) != 0)
                log_warning("%s", error_text(&e));
        (void) sweeper_sweep(m->sweeper);
}

/* What the index says of the image itself. */
static int describe_target(Manager *m, const Container *c, json_t **ret, Error *e) {
        struct stat st;
        Image *image;
        Digest d;
        int r;

        r = image_find(m, c->object.namespace, c->image, &image, e);
        if (r == CTR_NOT_FOUND) {
                error_clear(e);
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The image \"%s\" of the container is not there any more",
                                  c->image);
        }
        if (r == 0)
                r = digest_parse(image->digest, &d, e);
        if (r != 0)
                return r;
        if (fstatat(m->content_fd, d.hex, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to look at %s: %m", image->digest);
        *ret = json_pack("{ss ss sI}", "mediaType", image->media_type, "digest", image->digest,
                         "size", (json_int_t) st.st_size);
        return *ret ? 0 : -ENOMEM;
}

int checkpoint_describe(Task *t, const char *name, Error *e) {
        Manager *m = t->process.object.manager;
        _cleanup_free_ char *spec = NULL, *text = NULL;
        _cleanup_json_ json_t *j = NULL, *target = NULL;
        _cleanup_close_ int fd = -1;
        Platform host;
        int r;

        /* what was written is what an upper directory has */
        if (!streq(t->container->snapshotter, SNAPSHOTTER_DEFAULT))
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "The root of \"%s\" is a snapshot of %s: only one "
                                  "of " SNAPSHOTTER_DEFAULT " can be stored in an image",
                                  t->container->object.name, t->container->snapshotter);
        r = describe_target(m, t->container, &target, e);
        if (r == 0)
                r = task_read_spec(t, &spec, e);
        if (r != 0)
                return r;
        platform_host(&host);
        j = json_pack("{ss sI ss ss sO}", "image", t->container->image, "snapshot",
                      (json_int_t) t->container->snapshot, "os", host.os, "architecture",
                      host.architecture, "target", target);
        r = j ? json_to_text(j, &text) : -ENOMEM;
        if (r < 0)
                return r;
        fd = openat(m->snapshots_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        r = fd < 0 ? -errno : file_write_atomic_at(fd, "config.json", spec, strlen(spec), 0600, 0);
        if (r >= 0)
                r = file_write_atomic_at(fd, "request.json", text, strlen(text), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to describe the checkpoint: %m") : 0;
}

static const JobType store_type = {.name = "checkpoint",
                                   .action = "task-checkpoint",
                                   .brings_blobs = true};

int checkpoint_store(Manager *m, const char *namespace, const char *reference, const char *name,
                     Job **ret, Error *e) {
        const char *const arguments[] = {name, NULL};

        return job_start(m,
                         &(JobRequest){
                                         .type = &store_type,
                                         .namespace = namespace,
                                         .description = reference,
                                         .arguments = (char *const *) arguments,
                         },
                         ret, e);
}

static int image_new(Manager *m, const char *namespace, const char *reference, json_t *result,
                     Image **ret, Error *e) {
        _cleanup_(image_freep) Image *i = calloc(1, sizeof(Image));
        const char *digest = NULL, *media_type = NULL;
        json_t *blob, *blobs;
        size_t k;
        int r;

        if (!i)
                return -ENOMEM;
        r = object_init(&i->object, m, OBJECT_IMAGE, namespace, reference);
        if (r < 0)
                return r;
        if (!result || json_get_string(result, "result", "digest", &digest, e) <= 0 ||
            json_get_string(result, "result", "media_type", &media_type, e) <= 0)
                return error_setf(e, -EBADMSG, "The worker's result has no digest");
        /* it has neither: what there is to be read is the index */
        if (free_and_strdup(&i->digest, digest) < 0 ||
            free_and_strdup(&i->media_type, media_type) < 0 ||
            free_and_strdup(&i->manifest_digest, digest) < 0 ||
            free_and_strdup(&i->config_digest, digest) < 0)
                return -ENOMEM;
        blobs = json_object_get(result, "blobs");
        json_array_foreach(blobs, k, blob)
                i->size += (uint64_t) json_integer_value(json_object_get(blob, "size"));
        i->labels = json_pack("{ss}", LABEL, "true");
        i->platforms = json_array();
        i->created_at = i->updated_at = now_realtime();
        if (!i->labels || !i->platforms)
                return -ENOMEM;
        *ret = TAKE_PTR(i);
        return 0;
}

static int commit_rows(Manager *m, const Image *i, const char *base, json_t *result, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_image_put(m->db, i, json_object_get(result, "blobs"), e);
        if (r == 0)
                r = db_image_share_blobs(m->db, i, base, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

int checkpoint_commit(Manager *m, const char *namespace, const char *reference, const char *base,
                      json_t *result, Image **ret, Error *e) {
        _cleanup_(image_freep) Image *i = NULL;
        int r;

        if (object_find(m, OBJECT_IMAGE, namespace, reference))
                return error_setf(e, CTR_ALREADY_EXISTS, "There is an image \"%s\" already",
                                  reference);
        r = image_new(m, namespace, reference, result, &i, e);
        if (r == 0)
                r = commit_rows(m, i, base, result, e);
        if (r == 0)
                r = object_link(&i->object);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}
