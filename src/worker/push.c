/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/push.h"

#include "basic/strv.h"
#include "image/content.h"
#include "worker/document.h"
#include "worker/packet.h"

/* as many as fit into a packet, and more than people look at */
#define PROGRESS_BLOBS_MAX 400

static const char *const phases[_PUSH_PHASE_MAX] = {
                [PUSH_RESOLVE] = "resolve",
                [PUSH_UPLOAD] = "upload",
                [PUSH_MANIFEST] = "manifest",
                [PUSH_DONE] = "done",
};

static const char *const blob_phases[_PUSH_BLOB_PHASE_MAX] = {
                [PUSH_BLOB_WAIT] = "wait",       [PUSH_BLOB_UPLOAD] = "upload",
                [PUSH_BLOB_DONE] = "done",       [PUSH_BLOB_EXISTS] = "exists",
                [PUSH_BLOB_MOUNTED] = "mounted",
};

static void set_phase(Push *p, PushPhase phase) {
        (void) pthread_mutex_lock(&p->job.mutex);
        p->phase = phase;
        (void) pthread_mutex_unlock(&p->job.mutex);
        job_notify(&p->job);
}

static void set_blob_phase(Push *p, PushBlob *b, PushBlobPhase phase) {
        (void) pthread_mutex_lock(&p->job.mutex);
        b->phase = phase;
        (void) pthread_mutex_unlock(&p->job.mutex);
        job_notify(&p->job);
}

static PushBlob *next_blob(Push *p) {
        PushBlob *b = NULL;

        (void) pthread_mutex_lock(&p->job.mutex);
        if (p->next < p->n_blobs && !job_is_canceled(&p->job))
                b = p->blobs + p->next++;
        (void) pthread_mutex_unlock(&p->job.mutex);
        return b;
}

static int push_blob(Push *p, PushBlob *b, Http *http, Error *e) {
        RegistryUpload upload = {
                        .digest = &b->descriptor->digest,
                        .size = b->descriptor->size,
                        .chunk = p->options->chunk,
                        .sent = &b->sent,
        };
        _cleanup_close_ int fd = -1;
        RegistryBlob found;
        int r;

        r = registry_find_blob(p->remote.registry, http, upload.digest, p->options->mount_from,
                               &found, e);
        if (r != 0)
                return r;
        if (found != REGISTRY_BLOB_MISSING) {
                set_blob_phase(p, b,
                               found == REGISTRY_BLOB_EXISTS ? PUSH_BLOB_EXISTS
                                                             : PUSH_BLOB_MOUNTED);
                return 0;
        }
        set_blob_phase(p, b, PUSH_BLOB_UPLOAD);
        r = content_open_blob(p->store.content_fd, upload.digest, &fd, NULL, e);
        if (r != 0)
                return r;
        upload.fd = fd;
        r = registry_put_blob(p->remote.registry, http, &upload, e);
        if (r != 0)
                return r;
        set_blob_phase(p, b, PUSH_BLOB_DONE);
        return 0;
}

static void *pusher(void *push) {
        _cleanup_(http_freep) Http *http = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Push *p = push;
        PushBlob *b;
        int r;

        r = http_new(&http);
        while (r == 0 && (b = next_blob(p))) {
                r = push_blob(p, b, http, &e);
                if (r != 0)
                        r = error_prefix(&e, r, "Blob %s", DIGEST_STRING(&b->descriptor->digest));
        }
        if (r != 0)
                job_fail(&p->job, &e, r);
        return NULL;
}

/* Runs pushers to their end. Their errors are recorded by themselves. */
static int run_threads(Push *p, Error *e) {
        pthread_t threads[PUSHERS_MAX];
        size_t n = 0, wanted = MIN_OF(p->n_blobs, (size_t) PUSHERS_MAX);
        int r = 0;

        while (r == 0 && n < wanted) {
                r = -pthread_create(threads + n, NULL, pusher, p);
                if (r == 0)
                        n++;
        }
        if (r < 0) {
                (void) error_setf(e, r, "Failed to start a thread: %m");
                job_fail(&p->job, e, r);
        }
        for (size_t i = 0; i < n; i++)
                (void) pthread_join(threads[i], NULL);
        return job_is_canceled(&p->job) ? CTR_CANCELED : 0;
}

/* Under its digest, the last one under the tag if there is one. */
static int put_documents(Push *p, Error *e) {
        _cleanup_(http_freep) Http *http = NULL;
        int r;

        r = http_new(&http);
        for (size_t i = 0; r == 0 && i < p->closure.n_documents; i++) {
                _cleanup_(text_clear) Text text = {};
                const Descriptor *d = p->closure.documents + i;
                const char *name = d == p->target && p->reference.tag ? p->reference.tag
                                                                      : DIGEST_STRING(&d->digest);

                r = text_read_stored(p->store.content_fd, &d->digest, &text, e);
                if (r == 0)
                        r = registry_put_manifest(p->remote.registry, http, name, d->media_type,
                                                  text.data, text.size, e);
        }
        return r;
}

static int collect(Push *p, Error *e) {
        const Reference *ref = &p->reference;
        int r;

        if (!p->options->has_digest && !ref->has_digest)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "What is to be pushed must be named by its digest");
        p->closure.content_fd = p->store.content_fd;
        p->closure.platform = p->options->platform;
        p->closure.all_platforms = p->options->all_platforms;
        r = closure_add(&p->closure, p->options->has_digest ? &p->options->digest : &ref->digest,
                        &p->target, e);
        if (r != 0)
                return r;
        if (ref->has_digest && !digest_equal(&p->target->digest, &ref->digest))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "What is pushed has the digest %s, and not that of its name",
                                  DIGEST_STRING(&p->target->digest));
        p->blobs = calloc(p->closure.n_blobs + 1, sizeof(PushBlob));
        if (!p->blobs)
                return -ENOMEM;
        p->n_blobs = p->closure.n_blobs;
        for (size_t i = 0; i < p->n_blobs; i++)
                p->blobs[i].descriptor = p->closure.blobs + i;
        return 0;
}

static int run(WorkerJob *j, Error *e) {
        Push *p = (Push *) j;
        int r;

        r = collect(p, e);
        if (r == 0)
                r = registry_will_push(p->remote.registry, p->options->mount_from);
        if (r != 0)
                return r;
        set_phase(p, PUSH_UPLOAD);
        r = run_threads(p, e);
        if (r != 0)
                return r;
        set_phase(p, PUSH_MANIFEST);
        r = put_documents(p, e);
        if (r != 0)
                return r;
        set_phase(p, PUSH_DONE);
        return 0;
}

static const char *blob_kind(const Descriptor *d) {
        return media_type_kind(d->media_type, NULL) == MEDIA_CONFIG ? "config-" : "layer-";
}

static json_t *progress(WorkerJob *j) {
        json_t *layers = json_array();
        Push *p = (Push *) j;
        PushPhase phase;

        (void) pthread_mutex_lock(&p->job.mutex);
        phase = p->phase;
        for (size_t i = 0;
             phase > PUSH_RESOLVE && i < MIN_OF(p->n_blobs, (size_t) PROGRESS_BLOBS_MAX); i++) {
                PushBlob *b = p->blobs + i;
                uint64_t sent = b->phase > PUSH_BLOB_UPLOAD ? b->descriptor->size
                                                            : atomic_load(&b->sent);

                (void) json_array_append_new(layers,
                                             pack_blob_progress(blob_kind(b->descriptor),
                                                                b->descriptor,
                                                                blob_phases[b->phase], sent));
        }
        (void) pthread_mutex_unlock(&p->job.mutex);
        return json_pack("{s:s, s:s, s:o}", "type", "progress", "phase", phases[phase], "layers",
                         layers);
}

static json_t *result(WorkerJob *j) {
        const Push *p = (Push *) j;
        uint64_t count[_PUSH_BLOB_PHASE_MAX] = {}, bytes = 0;
        _cleanup_free_ char *reference = NULL;

        reference = reference_to_string(&p->reference);
        if (!reference)
                return NULL;
        for (size_t i = 0; i < p->n_blobs; i++) {
                count[p->blobs[i].phase]++;
                if (p->blobs[i].phase == PUSH_BLOB_DONE)
                        bytes += p->blobs[i].descriptor->size;
        }
        return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "type", "result",
                         "reference", reference, "digest", DIGEST_STRING(&p->target->digest),
                         "media_type", p->target->media_type, "size", (json_int_t) p->target->size,
                         "manifests", (json_int_t) p->closure.n_documents, "uploaded",
                         (json_int_t) count[PUSH_BLOB_DONE], "mounted",
                         (json_int_t) count[PUSH_BLOB_MOUNTED], "existed",
                         (json_int_t) count[PUSH_BLOB_EXISTS], "bytes", (json_int_t) bytes);
}

static const JobType type = {.name = "push", .run = run, .progress = progress, .result = result};

int push_init(Push *p, const PushOptions *options, int control_fd, Error *e) {
        assert(p && options);

        *p = (Push){.options = options, .store = STORE_NULL};
        return job_init(&p->job, &type, control_fd, e);
}

void push_clear(Push *p) {
        closure_clear(&p->closure);
        free(p->blobs);
        remote_close(&p->remote);
        reference_clear(&p->reference);
        store_close(&p->store);
        job_clear(&p->job);
}
