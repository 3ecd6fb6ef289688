/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The unpacking side of a pull: see worker/pull.h. */

#include "image/content.h"
#include "image/hash.h"
#include "image/inflate.h"
#include "worker/pull.h"

#define BUFFER_SIZE (256 * 1024)

typedef struct Unpack {
        Pull *pull;
        Layer *layer;
        int fd;
        uint64_t position; /* in the blob */
        Inflate *inflate;
        Hash *hash; /* of the uncompressed layer */
        char *buffer;
} Unpack;

/* How many bytes of the blob can be read at once now; waits for at least one. 0 at its end. */
static int wait_available(Unpack *u, uint64_t *ret, Error *e) {
        Pull *p = u->pull;
        Layer *l = u->layer;
        int r = 0;

        (void) pthread_mutex_lock(&p->job->mutex);
        l->consumed = u->position;
        while (l->available <= u->position && !l->complete && !atomic_load(&p->job->canceled))
                (void) pthread_cond_wait(&p->job->changed, &p->job->mutex);
        /* who canceled has said why */
        if (atomic_load(&p->job->canceled))
                r = error_setf(e, CTR_CANCELED, "The job was canceled");
        *ret = l->available - u->position;
        (void) pthread_mutex_unlock(&p->job->mutex);
        return r;
}

static int read_blob(void *userdata, void *buf, size_t size, size_t *ret_size, Error *e) {
        Unpack *u = userdata;
        uint64_t available;
        ssize_t n;
        int r;

        r = wait_available(u, &available, e);
        if (r != 0)
                return r;
        if (available == 0) {
                *ret_size = 0;
                return 0;
        }
        do
                n = pread(u->fd, buf, MIN_OF((uint64_t) size, available), (off_t) u->position);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read the blob: %m");
        if (n == 0)
                return error_setf(e, CTR_DATA_LOSS, "the blob became shorter while it was read");
        u->position += (uint64_t) n;
        *ret_size = (size_t) n;
        return 0;
}

static int read_layer(void *userdata, const void **ret_data, size_t *ret_size, Error *e) {
        Unpack *u = userdata;
        int r;

        r = inflate_read(u->inflate, u->buffer, BUFFER_SIZE, ret_size, e);
        if (r != 0)
                return r;
        r = hash_update(u->hash, u->buffer, *ret_size);
        if (r < 0)
                return error_setf(e, r, "Failed to compute a digest: %m");
        *ret_data = u->buffer;
        return 0;
}

/* True for errors that wrong bytes may have caused. */
static bool is_about_content(int error) {
        return error == CTR_DATA_LOSS || error == CTR_INVALID_ARGUMENT ||
               error == CTR_RESOURCE_EXHAUSTED;
}

/* If the blob is still coming, whether its bytes are the right ones shows at its end: a wrong
 * digest is the better explanation, and removes what an earlier pull may have left damaged. */
static void wait_complete(Unpack *u) {
        Pull *p = u->pull;

        (void) pthread_mutex_lock(&p->job->mutex);
        while (!u->layer->complete && !atomic_load(&p->job->canceled))
                (void) pthread_cond_wait(&p->job->changed, &p->job->mutex);
        (void) pthread_mutex_unlock(&p->job->mutex);
}

/* A blob that was in the store and cannot be unpacked is either damaged, or the image is wrong
 * about it. A damaged one must not stay, or no later pull would succeed. */
static int check_stored(Unpack *u, int error, Error *e) {
        const Digest *wanted = &u->layer->descriptor->digest;
        Digest actual;

        if (hash_file(wanted->algorithm, u->fd, &actual) < 0 || digest_equal(&actual, wanted))
                return error;
        (void) content_remove_blob(u->pull->store->content_fd, wanted);
        error_clear(e);
        return error_setf(e, CTR_DATA_LOSS,
                          "the blob in the store was damaged and is removed, pull again");
}

static int extract(Unpack *u, Error *e) {
        _cleanup_close_ int links_fd = -1;
        Layer *l = u->layer;
        Digest diff_id;
        int r;

        r = hash_new(l->diff_id.algorithm, &u->hash);
        if (r < 0)
                return r;
        r = inflate_new(l->compression, read_blob, u, &u->inflate);
        if (r < 0)
                return r;
        r = overlayfs_create(u->pull->store->snapshots_fd, l->directory, &l->fs_fd, e);
        if (r != 0)
                return r;
        r = overlayfs_open_links(u->pull->store->snapshots_fd, l->directory, &links_fd, e);
        if (r != 0)
                return r;
        r = layer_apply(l->fs_fd, links_fd, read_layer, u, &u->pull->options->limits, &l->result,
                        e);
        if (r != 0)
                return r;
        r = hash_final(u->hash, &diff_id);
        if (r < 0)
                return error_setf(e, r, "Failed to compute a digest: %m");
        if (!digest_equal(&diff_id, &l->diff_id))
                return error_setf(e, CTR_DATA_LOSS,
                                  "the uncompressed layer has the digest %s, the config says %s",
                                  DIGEST_STRING(&diff_id), DIGEST_STRING(&l->diff_id));
        return 0;
}

static int unpack_layer(Pull *p, Layer *l, char *buffer, Error *e) {
        Unpack u = {.pull = p, .layer = l, .buffer = buffer, .fd = -1};
        int r;

        (void) pthread_mutex_lock(&p->job->mutex);
        while (l->fd < 0 && !atomic_load(&p->job->canceled))
                (void) pthread_cond_wait(&p->job->changed, &p->job->mutex);
        u.fd = l->fd;
        (void) pthread_mutex_unlock(&p->job->mutex);
        if (atomic_load(&p->job->canceled))
                return error_setf(e, CTR_CANCELED, "The job was canceled");

        r = extract(&u, e);
        hash_free(u.hash);
        inflate_free(u.inflate);
        if (is_about_content(r))
                wait_complete(&u);
        if (is_about_content(r) && l->stored)
                r = check_stored(&u, r, e);
        if (r != 0)
                return error_prefix(e, r, "Layer %s", DIGEST_STRING(&l->descriptor->digest));

        (void) pthread_mutex_lock(&p->job->mutex);
        l->consumed = l->descriptor->size;
        l->fd = fd_close(l->fd);
        (void) pthread_mutex_unlock(&p->job->mutex);
        pull_set_layer_phase(p, l, LAYER_DONE);
        return 0;
}

static Layer *next_layer(Pull *p) {
        Layer *l = NULL;

        (void) pthread_mutex_lock(&p->job->mutex);
        while (!l && p->next_unpack < p->n_layers && !atomic_load(&p->job->canceled)) {
                l = p->layers + p->next_unpack++;
                if (layer_is_there(l))
                        l = NULL;
        }
        (void) pthread_mutex_unlock(&p->job->mutex);
        return l;
}

void *pull_unpacker(void *pull) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *buffer = NULL;
        Pull *p = pull;
        Layer *l;
        int r = 0;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                r = -ENOMEM;
        while (r == 0 && (l = next_layer(p)))
                r = unpack_layer(p, l, buffer, &e);
        if (r != 0)
                job_fail(p->job, &e, r);
        return NULL;
}
