/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/pull.h"

#include <fcntl.h>
#include <poll.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/content.h"
#include "image/hash.h"
#include "snapshot/inherit.h"

#define INGEST_RETRY_MSEC 50

void pull_init(Pull *p, WorkerJob *job, const Store *store, const PullOptions *options) {
        assert(p && job && store && options);

        *p = (Pull){.options = options, .job = job, .store = store};
}

void pull_set_phase(Pull *p, JobPhase phase) {
        (void) pthread_mutex_lock(&p->job->mutex);
        p->phase = phase;
        (void) pthread_mutex_unlock(&p->job->mutex);
        job_notify(p->job);
}

void pull_set_layer_phase(Pull *p, Layer *l, LayerPhase phase) {
        (void) pthread_mutex_lock(&p->job->mutex);
        l->phase = phase;
        (void) pthread_mutex_unlock(&p->job->mutex);
        job_notify(p->job);
}

void pull_set_have(Pull *p, const uint64_t *snapshots, const bool *fetch, size_t n) {
        (void) pthread_mutex_lock(&p->job->mutex);
        for (size_t i = 0; i < n && i < p->n_layers; i++) {
                p->layers[i].existing = snapshots[i];
                p->layers[i].fetch_only = snapshots[i] > 0 && fetch[i];
                if (snapshots[i] > 0 && !fetch[i])
                        p->layers[i].phase = LAYER_EXISTS;
        }
        (void) pthread_mutex_unlock(&p->job->mutex);
}

/* The list of layers with their identities, as it goes into the plan. */
static int plan(Pull *p, Error *e) {
        p->layers = calloc(p->manifest->n_layers + 1, sizeof(Layer));
        if (!p->layers)
                return -ENOMEM;
        for (size_t i = 0; i < p->manifest->n_layers; i++) {
                Layer *l = p->layers + i;
                int r;

                l->descriptor = p->manifest->layers + i;
                (void) media_type_kind(l->descriptor->media_type, &l->compression);
                l->diff_id = p->config->diff_ids[i];
                l->fd = l->fs_fd = -1;
                r = hash_chain_id(i > 0 ? &p->layers[i - 1].chain_id : NULL, &l->diff_id,
                                  &l->chain_id);
                if (r < 0)
                        return error_setf(e, r, "Failed to compute a chain id: %m");
        }
        (void) pthread_mutex_lock(&p->job->mutex);
        p->n_layers = p->manifest->n_layers;
        p->planned = true;
        (void) pthread_mutex_unlock(&p->job->mutex);
        job_notify(p->job);
        return 0;
}

/* How many threads there is work for. */
static void count_threads(const Pull *p, size_t *ret_fetchers, size_t *ret_unpackers) {
        size_t n_fetch = p->n_others, n_unpack = 0;
        long n_cpus;

        for (size_t i = 0; i < p->n_layers; i++) {
                bool unpack = !layer_is_there(p->layers + i);

                n_unpack += unpack && p->options->unpack;
                n_fetch += unpack || p->layers[i].fetch_only;
        }
        /* one more than processors: extraction also waits for the disk */
        n_cpus = n_unpack > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
        *ret_fetchers = MIN_OF(n_fetch, (size_t) FETCHERS_MAX);
        *ret_unpackers = MIN_OF(n_unpack, (size_t) (n_cpus >= UNPACKERS_MAX ? UNPACKERS_MAX
                                                    : n_cpus < 1            ? 2
                                                                            : n_cpus + 1));
}

/* Runs fetchers and unpackers to their end. Their errors are recorded by themselves. */
static int run_threads(Pull *p, Error *e) {
        pthread_t threads[FETCHERS_MAX + UNPACKERS_MAX];
        size_t n = 0, n_unpackers, n_fetchers;
        int r = 0;

        count_threads(p, &n_fetchers, &n_unpackers);
        for (size_t i = 0; i < n_fetchers + n_unpackers && r == 0; i++) {
                r = -pthread_create(threads + n, NULL,
                                    i < n_fetchers ? pull_fetcher : pull_unpacker, p);
                if (r == 0)
                        n++;
        }
        if (r < 0) {
                Error thread_error = ERROR_NULL;

                (void) error_setf(&thread_error, r, "Failed to start a thread: %m");
                job_fail(p->job, &thread_error, r);
        }
        for (size_t i = 0; i < n; i++)
                (void) pthread_join(threads[i], NULL);
        return atomic_load(&p->job->canceled) ? CTR_CANCELED : 0;
}

/* What a layer takes from those below it, which are complete: nearest first in lower. */
static int inherit_layer(Pull *p, Layer *l, const int *lower, size_t n_lower, Error *e) {
        _cleanup_close_ int links_fd = -1;
        int r;

        r = overlayfs_open_links(p->store->snapshots_fd, l->directory, &links_fd, e);
        if (r == 0)
                r = layer_inherit(l->fs_fd, links_fd, &p->options->limits, lower, n_lower,
                                  &l->result, e);
        if (r == 0)
                r = overlayfs_remove_links(p->store->snapshots_fd, l->directory, e);
        return r;
}

static int open_tree_of(const Pull *p, Layer *l, Error *e) {
        char path[OVERLAYFS_NAME_SIZE + STRLEN("/fs")];

        if (!l->shared)
                return overlayfs_open_tree(p->store->snapshots_fd, l->existing, &l->fs_fd, e);
        (void) snprintf(path, sizeof(path), "%s/fs", l->shared);
        l->fs_fd = openat(p->store->snapshots_fd, path,
                          O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return l->fs_fd < 0 ? error_setf(e, -errno, "Failed to open %s: %m", path) : 0;
}

/* Bottom layer first. */
static int inherit(Pull *p, Error *e) {
        _cleanup_free_ int *lower = NULL;
        int r = 0;

        lower = calloc(p->n_layers + 1, sizeof(int));
        if (!lower)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_layers && r == 0; i++) {
                Layer *l = p->layers + i;

                if (layer_is_there(l)) {
                        r = open_tree_of(p, l, e);
                        if (r != 0)
                                return r;
                        continue;
                }
                for (size_t k = 0; k < i; k++)
                        lower[k] = p->layers[i - 1 - k].fs_fd;
                r = inherit_layer(p, l, lower, i, e);
                if (r != 0)
                        r = error_prefix(e, r, "Layer %s", DIGEST_STRING(&l->descriptor->digest));
        }
        return r;
}

void pull_add_pending(Pull *p, Ingest *i) {
        (void) pthread_mutex_lock(&p->job->mutex);
        assert(p->n_pending < ELEMENTSOF(p->pending));
        p->pending[p->n_pending++] = i;
        (void) pthread_mutex_unlock(&p->job->mutex);
}

/* Commits what is verified. Held under the mutex: another thread must not commit the same, and what
 * it would do next needs our result anyway. */
static int commit_pending(Pull *p, bool synced, Error *e) {
        int r;

        (void) pthread_mutex_lock(&p->job->mutex);
        r = ingest_commit_all(p->store->content_fd, p->pending, p->n_pending, synced, e);
        if (r == 0) {
                for (size_t i = 0; i < p->n_pending; i++)
                        ingest_free(p->pending[i]);
                p->n_pending = 0;
        }
        (void) pthread_mutex_unlock(&p->job->mutex);
        return r;
}

static bool has_room(Pull *p) {
        size_t n;

        (void) pthread_mutex_lock(&p->job->mutex);
        n = p->n_pending;
        (void) pthread_mutex_unlock(&p->job->mutex);
        return n + FETCHERS_MAX + 1 < ELEMENTSOF(p->pending);
}

int pull_open_ingest(Pull *p, const Descriptor *d, Ingest **ret, Error *e) {
        int r;

        /* of an index with all its images there may be more than should wait for the end */
        if (!has_room(p)) {
                r = commit_pending(p, false, e);
                if (r != 0)
                        return r;
        }
        for (;;) {
                r = ingest_open(p->store->content_fd, &d->digest, d->size, &p->job->canceled, ret,
                                e);
                if (r != CTR_CONFLICT)
                        return r;
                r = commit_pending(p, false, e);
                if (r != 0)
                        return r;
                if (atomic_load(&p->job->canceled))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                /* the lock of another process is no event that poll() knows */
                (void) poll(NULL, 0, INGEST_RETRY_MSEC);
        }
}

int pull_store_document(Pull *p, const Descriptor *d, const char *data, Error *e) {
        _cleanup_(ingest_freep) Ingest *ingest = NULL;
        uint64_t offset;
        int r;

        r = pull_open_ingest(p, d, &ingest, e);
        if (r != 0)
                return r == CTR_ALREADY_EXISTS ? 0 : r;
        /* what somebody left half done is the same data: only the rest is appended */
        offset = ingest_offset(ingest);
        r = ingest_write(ingest, data + offset, d->size - offset, e);
        if (r == 0)
                r = ingest_verify(ingest, e);
        if (r == 0)
                pull_add_pending(p, TAKE_PTR(ingest));
        return r;
}

/* Writes what resolve.c fetched. */
static int store_documents(Pull *p, Error *e) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < p->n_documents; i++)
                r = pull_store_document(p, &p->documents[i].descriptor, p->documents[i].data, e);
        return r;
}

/* Makes everything durable and gives it the names under which it is found. */
static int publish(Pull *p, Error *e) {
        int r;

        if (syncfs(p->store->root_fd) < 0)
                return error_setf(e, -errno, "Failed to write the store to disk: %m");
        r = commit_pending(p, true, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < p->n_layers; i++) {
                Layer *l = p->layers + i;

                if (!*l->directory)
                        continue;
                r = overlayfs_publish(p->store->snapshots_fd, l->directory, l->directory, e);
                if (r != 0)
                        return r;
        }
        if (fsync(p->store->snapshots_fd) < 0)
                return error_setf(e, -errno, "Failed to write the store to disk: %m");
        return 0;
}

/* True if there is anything that was not there before. */
static bool changed(const Pull *p) {
        for (size_t i = 0; i < p->n_layers; i++)
                if (*p->layers[i].directory)
                        return true;
        return p->n_pending > 0;
}

/* The directory in which an image before this one has put that layer, or NULL. */
static const char *find_earlier(const Pull *p, const Digest *chain_id) {
        for (const Pull *q = p->earlier; q; q = q->earlier)
                for (size_t i = 0; i < q->n_layers; i++)
                        if (*q->layers[i].directory &&
                            digest_equal(&q->layers[i].chain_id, chain_id))
                                return q->layers[i].directory;
        return NULL;
}

static void share_earlier(Pull *p) {
        (void) pthread_mutex_lock(&p->job->mutex);
        for (size_t i = 0; i < p->n_layers; i++) {
                Layer *l = p->layers + i;

                if (l->existing > 0)
                        continue;
                l->shared = find_earlier(p, &l->chain_id);
                if (l->shared)
                        l->phase = LAYER_EXISTS;
        }
        (void) pthread_mutex_unlock(&p->job->mutex);
}

static void close_layers(Pull *p) {
        for (size_t i = 0; i < p->n_layers; i++) {
                p->layers[i].fd = fd_close(p->layers[i].fd);
                p->layers[i].fs_fd = fd_close(p->layers[i].fs_fd);
        }
}

int pull_run(Pull *p, Registry *registry, Error *e) {
        _cleanup_(http_freep) Http *http = NULL;
        int r;

        r = registry ? http_new(&http) : 0;
        if (r < 0)
                return r;
        p->registry = registry;
        r = pull_resolve(p, http, e);
        if (r != 0)
                return r;
        r = plan(p, e);
        if (r != 0)
                return r;
        r = job_ask(p->job);
        if (r != 0)
                return r;
        share_earlier(p);
        pull_set_phase(p, JOB_DOWNLOAD);
        r = run_threads(p, e);
        if (r != 0)
                return r;
        pull_set_phase(p, JOB_VERIFY);
        if (p->options->unpack)
                r = inherit(p, e);
        if (r == 0)
                r = store_documents(p, e);
        if (r == 0 && changed(p))
                r = publish(p, e);
        if (r != 0)
                return r;
        /* the next image of the job may need as many */
        close_layers(p);
        pull_set_phase(p, JOB_DONE);
        return 0;
}

void pull_undo(Pull *p) {
        for (size_t i = 0; i < p->n_layers; i++) {
                Layer *l = p->layers + i;

                if (!*l->directory)
                        continue;
                /* what cannot be removed now is swept by the manager's next start */
                (void) overlayfs_remove(p->store->snapshots_fd, l->directory, NULL);
                *l->directory = '\0';
        }
}

static void list_clear(DescriptorList *l) {
        for (size_t i = 0; i < l->n; i++)
                descriptor_clear(l->items + i);
        free(l->items);
}

void pull_clear(Pull *p) {
        close_layers(p);
        for (size_t i = 0; i < p->n_layers; i++)
                apply_result_clear(&p->layers[i].result);
        free(p->layers);
        for (size_t i = 0; i < p->n_others; i++)
                fd_close(p->others[i].fd);
        free(p->others);
        list_clear(&p->other_documents);
        list_clear(&p->other_blobs);
        list_clear(&p->platforms);
        for (size_t i = 0; i < p->n_pending; i++)
                ingest_free(p->pending[i]);
        for (size_t i = 0; i < p->n_documents; i++) {
                descriptor_clear(&p->documents[i].descriptor);
                free(p->documents[i].data);
        }
        descriptor_clear(&p->target);
        manifest_free(p->manifest);
        image_config_free(p->config);
        reference_clear(&p->reference);
}
