/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/commit.h"

#include <fcntl.h>

#include "image/deflate.h"
#include "image/hash.h"
#include "snapshot/diff.h"
#include "worker/pull-packet.h"

#define OCI "application/vnd.oci.image."

/* A layer on its way into the store. */
typedef struct Making {
        Commit *commit;
        Hash *hash; /* of what is not compressed */
        Deflate *deflate;
} Making;

static int write_compressed(void *userdata, const void *data, size_t size, Error *e) {
        return ingest_write(userdata, data, size, e);
}

static int write_tar(void *userdata, const void *data, size_t size, Error *e) {
        Making *m = userdata;
        int r;

        r = hash_update(m->hash, data, size);
        if (r < 0)
                return error_setf(e, r, "Failed to compute a digest: %m");
        (void) pthread_mutex_lock(&m->commit->job.mutex);
        m->commit->bytes += size;
        (void) pthread_mutex_unlock(&m->commit->job.mutex);
        return deflate_write(m->deflate, data, size, e);
}

static int write_layer(Making *m, CommitLayer *layer, int fd, int lower_fd, Error *e) {
        bool tree = m->commit->options->own.n_trees > 0;
        const DiffOptions options = {
                        .flags = tree ? 0 : DIFF_OVERLAY,
                        .name = ".",
                        .entries = m->commit->options->pull.limits.entries,
                        .bytes = m->commit->options->pull.limits.bytes,
                        .canceled = &m->commit->job.canceled,
        };
        int r;

        r = hash_new(DIGEST_SHA256, &m->hash);
        if (r == 0)
                r = deflate_new(m->commit->options->compression, write_compressed, layer->ingest,
                                &m->deflate);
        if (r == 0)
                r = tree ? layer_diff_trees(fd, lower_fd, &options, write_tar, m, e)
                         : layer_diff(fd, &options, write_tar, m, e);
        if (r == 0)
                r = deflate_finish(m->deflate, e);
        if (r == 0)
                r = hash_final(m->hash, &layer->diff_id);
        return r == 0 ? ingest_verify(layer->ingest, e) : r;
}

/* The own layer i, counted from the topmost, and if that is a whole tree what it lies upon. */
static int open_layer(Commit *c, size_t i, int *ret_fd, int *ret_lower_fd, Error *e) {
        const ContainerRoot *own = &c->options->own;
        int r;

        r = container_root_open_layer(own, i, c->store.root_fd, ret_fd, e);
        if (r != 0 || own->n_trees == 0)
                return r;
        if (i + 1 < own->n_layers)
                return container_root_open_layer(own, i + 1, c->store.root_fd, ret_lower_fd, e);
        *ret_lower_fd = fcntl(c->options->lower.fd, F_DUPFD_CLOEXEC, 3);
        return *ret_lower_fd < 0 ? -errno : 0;
}

static int make_layer(Commit *c, size_t i, CommitLayer *layer, Error *e) {
        _cleanup_close_ int fd = -1, lower_fd = -1;
        Making m = {.commit = c};
        int r;

        r = open_layer(c, i, &fd, &lower_fd, e);
        if (r == 0)
                r = ingest_open_unknown(c->store.content_fd, &layer->ingest, e);
        if (r == 0)
                r = write_layer(&m, layer, fd, lower_fd, e);
        hash_free(m.hash);
        deflate_free(m.deflate);
        return r == 0 ? commit_add_layer(c, layer, e) : r;
}

static int make_document(Commit *c, json_t *document, Ingest **ret, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(document, &text);
        if (r == 0)
                r = ingest_open_unknown(c->store.content_fd, ret, e);
        if (r == 0)
                r = ingest_write(*ret, text, strlen(text), e);
        return r == 0 ? ingest_verify(*ret, e) : r;
}

/* All of it into the store, and the image as something that can be pulled from there. */
static int store_image(Commit *c, Error *e) {
        Ingest *all[COMMIT_LAYERS_MAX + 2] = {};
        Ingest **config = all + c->options->own.n_layers, **manifest = config + 1;
        int r;

        for (size_t i = 0; i < c->options->own.n_layers; i++)
                all[i] = c->layers[i].ingest;
        r = make_document(c, c->config, config, e);
        if (r == 0 &&
            json_object_set_new(c->manifest, "config",
                                json_pack("{ss ss sI}", "mediaType", OCI "config.v1+json", "digest",
                                          DIGEST_STRING(ingest_digest(*config)), "size",
                                          (json_int_t) ingest_offset(*config))) < 0)
                r = -ENOMEM;
        if (r == 0)
                r = make_document(c, c->manifest, manifest, e);
        if (r == 0)
                r = ingest_commit_all(c->store.content_fd, all, c->options->own.n_layers + 2, false,
                                      e);
        if (r == 0)
                c->pull->reference.digest = *ingest_digest(*manifest);
        ingest_free(*config);
        ingest_free(*manifest);
        return r;
}

static int begin_pull(Commit *c) {
        Pull *p = calloc(1, sizeof(Pull));

        if (!p)
                return -ENOMEM;
        pull_init(p, &c->job, &c->store, &c->options->pull);
        p->reference.registry = strdup("localhost");
        p->reference.repository = strdup("commit");
        p->reference.has_digest = true;
        (void) pthread_mutex_lock(&c->job.mutex);
        c->pull = p;
        (void) pthread_mutex_unlock(&c->job.mutex);
        return p->reference.registry && p->reference.repository ? 0 : -ENOMEM;
}

static int run(WorkerJob *j, Error *e) {
        Commit *c = (Commit *) j;
        size_t n = c->options->own.n_layers;
        int r;

        ingest_sweep_unknown(c->store.content_fd);
        r = commit_read_base(c, e);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = make_layer(c, n - 1 - i, c->layers + i, e);
        if (r == 0) {
                (void) pthread_mutex_lock(&j->mutex);
                c->diffed = true;
                (void) pthread_mutex_unlock(&j->mutex);
                job_notify(j);
                r = begin_pull(c);
        }
        if (r == 0)
                r = store_image(c, e);
        return r == 0 ? pull_run(c->pull, NULL, e) : r;
}

static void undo(WorkerJob *j) {
        Commit *c = (Commit *) j;

        if (c->pull)
                pull_undo(c->pull);
}

static json_t *progress(WorkerJob *j) {
        Commit *c = (Commit *) j;
        bool diffed, planned;
        uint64_t bytes;

        (void) pthread_mutex_lock(&j->mutex);
        planned = c->pull && c->pull->planned;
        diffed = c->diffed;
        bytes = c->bytes;
        (void) pthread_mutex_unlock(&j->mutex);
        return planned ? pack_pull_progress(c->pull)
                       : json_pack("{s:s, s:s, s:[{s:s, s:s, s:I, s:i}]}", "type", "progress",
                                   "phase", diffed ? "store" : "diff", "layers", "ref", "layer",
                                   "phase", diffed ? "done" : "diff", "offset", (json_int_t) bytes,
                                   "total", 0);
}

static json_t *plan(WorkerJob *j) {
        return pack_pull_plan(((Commit *) j)->pull);
}

static int answer(WorkerJob *j, json_t *packet, Error *e) {
        return unpack_pull_have(((Commit *) j)->pull, packet, e);
}

static json_t *result(WorkerJob *j) {
        return pack_pull_result(((Commit *) j)->pull);
}

static const JobType type = {
                .name = "commit",
                .run = run,
                .undo = undo,
                .progress = progress,
                .plan = plan,
                .answer = answer,
                .result = result,
};

int commit_init(Commit *c, const CommitOptions *options, int control_fd, Error *e) {
        assert(c && options);

        *c = (Commit){.options = options, .store = STORE_NULL};
        return job_init(&c->job, &type, control_fd, e);
}

/* What was not committed is removed. */
void commit_clear(Commit *c) {
        for (size_t i = 0; i < COMMIT_LAYERS_MAX; i++)
                ingest_free(c->layers[i].ingest);
        if (c->pull)
                pull_clear(c->pull);
        free(c->pull);
        json_decref(c->config);
        json_decref(c->manifest);
        store_close(&c->store);
        job_clear(&c->job);
}
