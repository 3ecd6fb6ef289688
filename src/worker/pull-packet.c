/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/pull-packet.h"

#include "image/content.h"
#include "worker/packet.h"

/* as many as fit into a packet, and more than people look at */
#define PROGRESS_BLOBS_MAX 400

static const char *const layer_phases[_LAYER_PHASE_MAX] = {
                [LAYER_WAIT] = "wait", [LAYER_DOWNLOAD] = "download", [LAYER_UNPACK] = "unpack",
                [LAYER_DONE] = "done", [LAYER_EXISTS] = "exists",
};

static const char *const job_phases[_JOB_PHASE_MAX] = {
                [JOB_RESOLVE] = "resolve", [JOB_DOWNLOAD] = "download", [JOB_UNPACK] = "unpack",
                [JOB_VERIFY] = "verify",   [JOB_DONE] = "done",
};

static json_t *pack_layer(const Layer *l) {
        json_t *j = pack_descriptor(l->descriptor);

        if (json_object_set_new(j, "diff_id", json_string(DIGEST_STRING(&l->diff_id))) < 0 ||
            json_object_set_new(j, "chain_id", json_string(DIGEST_STRING(&l->chain_id))) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* What is fetched of the other images of an index. NULL: no memory. */
static json_t *pack_others(const Pull *p) {
        const DescriptorList *const lists[] = {&p->other_documents, &p->other_blobs};
        json_t *others = json_array();

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (size_t k = 0; k < lists[i]->n; k++)
                        (void) json_array_append_new(others,
                                                     json_string(DIGEST_STRING(
                                                                     &lists[i]->items[k].digest)));
        if (json_array_size(others) == lists[0]->n + lists[1]->n)
                return others;
        json_decref(others);
        return NULL;
}

json_t *pack_pull_plan(const Pull *p) {
        json_t *layers = json_array(), *documents = json_array();

        for (size_t i = 0; i < p->n_layers; i++)
                (void) json_array_append_new(layers, pack_layer(p->layers + i));
        for (size_t i = 0; i < p->n_documents; i++)
                (void) json_array_append_new(documents,
                                             json_string(DIGEST_STRING(
                                                             &p->documents[i].descriptor.digest)));
        if (json_array_size(layers) != p->n_layers ||
            json_array_size(documents) != p->n_documents) {
                json_decref(layers);
                json_decref(documents);
                return NULL;
        }
        return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "type", "plan", "digest",
                         DIGEST_STRING(&p->target.digest), "config",
                         DIGEST_STRING(&p->manifest->config.digest), "documents", documents,
                         "layers", layers, "others", pack_others(p));
}

static json_t *pack_layer_progress(const Pull *p, const Layer *l) {
        uint64_t offset = 0;

        if (l->phase == LAYER_DOWNLOAD)
                offset = l->available;
        else if (l->phase == LAYER_UNPACK)
                offset = l->consumed;
        else if (l->phase != LAYER_WAIT)
                offset = l->descriptor->size;
        return pack_blob_progress("layer-", l->descriptor, layer_phases[l->phase], offset);
}

/* The phase of the whole job: while layers are worked on, it is that of the slowest. Called with
 * the mutex held. */
static JobPhase job_phase(const Pull *p) {
        if (p->phase != JOB_DOWNLOAD)
                return p->phase;
        for (size_t i = 0; i < p->n_layers; i++)
                if (p->layers[i].phase < LAYER_UNPACK)
                        return JOB_DOWNLOAD;
        for (size_t i = 0; i < p->n_others; i++)
                if (p->others[i].phase < LAYER_UNPACK)
                        return JOB_DOWNLOAD;
        return JOB_UNPACK;
}

json_t *pack_pull_progress(Pull *p) {
        json_t *layers = json_array();
        JobPhase phase;

        (void) pthread_mutex_lock(&p->job->mutex);
        phase = job_phase(p);
        for (size_t i = 0; p->planned && i < p->n_documents; i++) {
                const Document *d = p->documents + i;
                char kind[16];

                (void) snprintf(kind, sizeof(kind), "%s-", d->kind);
                (void) json_array_append_new(layers,
                                             pack_blob_progress(kind, &d->descriptor, "done",
                                                                d->descriptor.size));
        }
        for (size_t i = 0; i < p->n_layers; i++)
                (void) json_array_append_new(layers, pack_layer_progress(p, p->layers + i));
        for (size_t i = 0; i < p->n_others && json_array_size(layers) < PROGRESS_BLOBS_MAX; i++)
                (void) json_array_append_new(layers, pack_layer_progress(p, p->others + i));
        (void) pthread_mutex_unlock(&p->job->mutex);
        return json_pack("{s:s, s:s, s:o}", "type", "progress", "phase", job_phases[phase],
                         "layers", layers);
}

static int read_have(json_t *packet, uint64_t *snapshots, size_t n, Error *e) {
        json_t *layers, *item;
        size_t i;
        int r;

        r = json_get_array(packet, "have", "layers", n, &layers, e);
        if (r < 0)
                return r;
        if (r == 0 || json_array_size(layers) != n)
                return error_setf(e, -EBADMSG, "have.layers must have one entry for each layer");
        json_array_foreach(layers, i, item) {
                if (json_is_null(item))
                        continue;
                if (!json_is_integer(item) || json_integer_value(item) <= 0)
                        return error_setf(e, -EBADMSG,
                                          "have.layers[%zu] must be the number of a snapshot, or "
                                          "null",
                                          i);
                snapshots[i] = (uint64_t) json_integer_value(item);
        }
        return 0;
}

static int read_fetch(json_t *packet, bool *fetch, size_t n, Error *e) {
        json_t *layers, *item;
        size_t i;
        int r;

        r = json_get_array(packet, "have", "fetch", n, &layers, e);
        if (r <= 0)
                return r;
        json_array_foreach(layers, i, item) {
                if (!json_is_boolean(item))
                        return error_setf(e, -EBADMSG, "have.fetch[%zu] must be a boolean", i);
                fetch[i] = json_is_true(item);
        }
        return 0;
}

int unpack_pull_have(Pull *p, json_t *packet, Error *e) {
        _cleanup_free_ uint64_t *snapshots = NULL;
        _cleanup_free_ bool *fetch = NULL;
        int r;

        if (!packet)
                return 0;
        snapshots = calloc(p->n_layers + 1, sizeof(uint64_t));
        fetch = calloc(p->n_layers + 1, sizeof(bool));
        if (!snapshots || !fetch)
                return -ENOMEM;
        r = read_have(packet, snapshots, p->n_layers, e);
        if (r == 0)
                r = read_fetch(packet, fetch, p->n_layers, e);
        if (r == 0)
                pull_set_have(p, snapshots, fetch, p->n_layers);
        return r;
}

static json_t *pack_result_layer(const Pull *p, const Layer *l) {
        json_t *j = pack_layer(l);
        int r;

        if (!j)
                return NULL;
        r = json_object_set_new(j, "directory",
                                *l->directory ? json_string(l->directory) : json_null());
        if (*l->directory) {
                r |= json_object_set_new(j, "bytes", json_integer((json_int_t) l->result.bytes));
                r |= json_object_set_new(j, "inodes", json_integer((json_int_t) l->result.inodes));
        }
        if (r < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* Every blob of the image that is in the store, each once. */
static json_t *pack_blobs(const Pull *p) {
        json_t *blobs = json_array();

        for (size_t i = 0; i < p->n_documents; i++)
                (void) json_array_append_new(blobs, pack_descriptor(&p->documents[i].descriptor));
        for (size_t i = 0; i < p->n_layers; i++) {
                _cleanup_close_ int fd = -1;
                bool again = false;

                for (size_t k = 0; k < i; k++)
                        again = again || digest_equal(&p->layers[k].descriptor->digest,
                                                      &p->layers[i].descriptor->digest);
                if (!again &&
                    content_open_blob(p->store->content_fd, &p->layers[i].descriptor->digest, &fd,
                                      NULL, NULL) == 0)
                        (void) json_array_append_new(blobs,
                                                     pack_descriptor(p->layers[i].descriptor));
        }
        for (size_t i = 0; i < p->other_documents.n; i++)
                (void) json_array_append_new(blobs, pack_descriptor(p->other_documents.items + i));
        for (size_t i = 0; i < p->other_blobs.n; i++)
                (void) json_array_append_new(blobs, pack_descriptor(p->other_blobs.items + i));
        return blobs;
}

static void add_platform(json_t *platforms, const Platform *platform) {
        char text[PLATFORM_STRING_SIZE];
        json_t *item;
        size_t i;

        (void) platform_to_string(platform, text);
        json_array_foreach(platforms, i, item)
                if (streq_ptr(json_string_value(item), text))
                        return;
        (void) json_array_append_new(platforms, json_string(text));
}

/* Those whose content is here. What an index has besides images calls its platform unknown. */
static json_t *pack_platforms(const Pull *p) {
        json_t *platforms = json_array();

        add_platform(platforms,
                     *p->config->platform.os ? &p->config->platform : &p->options->platform);
        for (size_t i = 0; i < p->platforms.n; i++) {
                const Descriptor *d = p->platforms.items + i;

                if (d->has_platform && !streq(d->platform.os, "unknown"))
                        add_platform(platforms, &d->platform);
        }
        return platforms;
}

json_t *pack_pull_result(const Pull *p) {
        _cleanup_free_ char *reference = NULL;
        const Document *manifest = NULL;
        json_t *layers = json_array();

        for (size_t i = 0; i < p->n_documents; i++)
                if (streq(p->documents[i].kind, "manifest"))
                        manifest = p->documents + i;
        assert(manifest);

        for (size_t i = 0; i < p->n_layers; i++)
                (void) json_array_append_new(layers, pack_result_layer(p, p->layers + i));
        reference = reference_to_string(&p->reference);
        if (!reference || json_array_size(layers) != p->n_layers) {
                json_decref(layers);
                return NULL;
        }
        return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "type", "result",
                         "reference", reference, "digest", DIGEST_STRING(&p->target.digest),
                         "media_type", p->target.media_type, "size", (json_int_t) p->target.size,
                         "manifest", pack_descriptor(&manifest->descriptor), "config",
                         pack_descriptor(&p->manifest->config), "blobs", pack_blobs(p), "platforms",
                         pack_platforms(p), "layers", layers);
}
