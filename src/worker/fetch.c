/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The downloading side of a pull: see worker/pull.h. */

#include <fcntl.h>

#include "image/content.h"
#include "worker/pull.h"

typedef struct Fetch {
        Pull *pull;
        Layer *layer;
        Ingest *ingest;
} Fetch;

/* Lets the unpacker read up to here; a complete blob is a verified one. */
static void set_available(Pull *p, Layer *l, uint64_t available, bool complete) {
        (void) pthread_mutex_lock(&p->job->mutex);
        l->available = available;
        l->complete = complete;
        if (complete)
                l->phase = p->options->unpack && !l->fetch_only ? LAYER_UNPACK : LAYER_DONE;
        (void) pthread_cond_broadcast(&p->job->changed);
        (void) pthread_mutex_unlock(&p->job->mutex);
        if (complete)
                job_notify(p->job);
}

/* Gives the unpacker a descriptor of its own: the ingest's is closed by its commit. */
static int share_fd(Pull *p, Layer *l, int fd, Error *e) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return error_setf(e, -errno, "Failed to duplicate a descriptor: %m");
        (void) pthread_mutex_lock(&p->job->mutex);
        l->fd = copy;
        (void) pthread_cond_broadcast(&p->job->changed);
        (void) pthread_mutex_unlock(&p->job->mutex);
        return 0;
}

/* Nobody is going to read it. */
static void close_shared(Pull *p, Layer *l) {
        (void) pthread_mutex_lock(&p->job->mutex);
        l->fd = fd_close(l->fd);
        (void) pthread_mutex_unlock(&p->job->mutex);
}

static int on_data(const void *data, size_t size, void *userdata, Error *e) {
        Fetch *f = userdata;
        int r;

        r = ingest_write(f->ingest, data, size, e);
        if (r != 0)
                return r;
        set_available(f->pull, f->layer, ingest_offset(f->ingest), false);
        return 0;
}

/* 0 if the blob is in the store, CTR_NOT_FOUND if not. */
static int use_stored(Pull *p, Layer *l, Error *e) {
        _cleanup_close_ int fd = -1;
        uint64_t size;
        int r;

        r = content_open_blob(p->store->content_fd, &l->descriptor->digest, &fd, &size, e);
        if (r != 0)
                return r;
        if (size != l->descriptor->size)
                return error_setf(e, CTR_DATA_LOSS,
                                  "The blob has %llu bytes in the store instead of the %llu that "
                                  "its descriptor says",
                                  (unsigned long long) size,
                                  (unsigned long long) l->descriptor->size);
        r = share_fd(p, l, fd, e);
        if (r != 0)
                return r;
        l->stored = true;
        set_available(p, l, size, true);
        return 0;
}

static int download(Pull *p, Layer *l, Http *http, Error *e) {
        _cleanup_(ingest_freep) Ingest *ingest = NULL;
        Fetch f = {.pull = p, .layer = l};
        int r;

        if (!p->registry)
                return error_setf(e, CTR_NOT_FOUND, "The blob is not in the store");
        r = pull_open_ingest(p, l->descriptor, &ingest, e);
        if (r == CTR_ALREADY_EXISTS)
                return use_stored(p, l, e);
        if (r != 0)
                return r;
        r = share_fd(p, l, ingest_fd(ingest), e);
        if (r != 0)
                return r;
        f.ingest = ingest;
        set_available(p, l, ingest_offset(ingest), false);
        if (ingest_offset(ingest) < l->descriptor->size) {
                r = registry_get_blob(p->registry, http, &l->descriptor->digest,
                                      ingest_offset(ingest), on_data, &f, e);
                if (r != 0)
                        return r;
        }
        r = ingest_verify(ingest, e);
        if (r != 0)
                return r;
        pull_add_pending(p, TAKE_PTR(ingest));
        set_available(p, l, l->descriptor->size, true);
        return 0;
}

static int fetch_layer(Pull *p, Layer *l, Http *http, Error *e) {
        int r;

        pull_set_layer_phase(p, l, LAYER_DOWNLOAD);
        r = use_stored(p, l, e);
        if (r == CTR_NOT_FOUND)
                r = download(p, l, http, e);
        if (r != 0)
                return error_prefix(e, r, "Layer %s", DIGEST_STRING(&l->descriptor->digest));
        if (l->fetch_only)
                close_shared(p, l);
        return 0;
}

static Layer *next_layer(Pull *p) {
        Layer *l = NULL;

        (void) pthread_mutex_lock(&p->job->mutex);
        while (!l && p->next_fetch < p->n_layers && !atomic_load(&p->job->canceled)) {
                l = p->layers + p->next_fetch++;
                if (layer_is_there(l) && !l->fetch_only)
                        l = NULL;
        }
        if (!l && p->next_fetch_other < p->n_others && !atomic_load(&p->job->canceled))
                l = p->others + p->next_fetch_other++;
        (void) pthread_mutex_unlock(&p->job->mutex);
        return l;
}

void *pull_fetcher(void *pull) {
        _cleanup_(http_freep) Http *http = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Pull *p = pull;
        Layer *l;
        int r;

        r = p->registry ? http_new(&http) : 0;
        while (r == 0 && (l = next_layer(p)))
                r = fetch_layer(p, l, http, &e);
        if (r != 0)
                job_fail(p->job, &e, r);
        return NULL;
}
