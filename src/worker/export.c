/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/export.h"

#include "image/content.h"
#include "image/hash.h"
#include "worker/packet.h"

void export_count(Export *x, uint64_t bytes) {
        (void) pthread_mutex_lock(&x->job.mutex);
        x->bytes += bytes;
        (void) pthread_mutex_unlock(&x->job.mutex);
}

int export_blob(Export *x, const Descriptor *d, const char *name, Error *e) {
        _cleanup_(hash_freep) Hash *hash = NULL;
        _cleanup_close_ int fd = -1;
        Digest actual;
        int r;

        r = content_open_blob(x->store.content_fd, &d->digest, &fd, NULL, e);
        if (r == 0)
                r = hash_new(d->digest.algorithm, &hash);
        if (r == 0)
                r = image_writer_begin(x->writer, name, d->size, e);
        while (r == 0) {
                ssize_t n = read(fd, x->buffer, EXPORT_BUFFER_SIZE);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to read the blob %s: %m",
                                          DIGEST_STRING(&d->digest));
                if (n == 0)
                        break;
                r = hash_update(hash, x->buffer, (size_t) n);
                if (r == 0)
                        r = image_writer_data(x->writer, x->buffer, (size_t) n, e);
                export_count(x, (uint64_t) n);
        }
        if (r == 0)
                r = hash_final(hash, &actual);
        if (r == 0 && !digest_equal(&actual, &d->digest))
                return error_setf(e, CTR_DATA_LOSS, "The blob %s is damaged in the store",
                                  DIGEST_STRING(&d->digest));
        return r;
}

/* Documents and blobs in the order of their names. */
static int compare(const void *a, const void *b) {
        const Descriptor *x = *(const Descriptor *const *) a, *y = *(const Descriptor *const *) b;

        return x->digest.algorithm != y->digest.algorithm
                               ? (int) x->digest.algorithm - (int) y->digest.algorithm
                               : strcmp(x->digest.hex, y->digest.hex);
}

static int write_blobs(Export *x, Error *e) {
        _cleanup_free_ const Descriptor **all = NULL;
        const Closure *c = &x->closure;
        size_t n = 0;
        int r = 0;

        all = calloc(c->n_documents + c->n_blobs + 1, sizeof(Descriptor *));
        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_documents; i++)
                all[n++] = c->documents + i;
        for (size_t i = 0; i < c->n_blobs; i++)
                all[n++] = c->blobs + i;
        qsort(all, n, sizeof(Descriptor *), compare);
        for (size_t i = 0; r == 0 && i < n; i++) {
                char path[CONTENT_PATH_SIZE], name[STRLEN("blobs/") + CONTENT_PATH_SIZE];

                (void) snprintf(name, sizeof(name), "blobs/%s",
                                content_path(&all[i]->digest, path));
                r = export_blob(x, all[i], name, e);
        }
        return r;
}

/* One entry of index.json, with the i-th name if there is one. */
static json_t *index_entry(const Descriptor *d, const char *name) {
        json_t *j = json_pack("{s:s, s:s, s:I}", "mediaType", d->media_type, "digest",
                              DIGEST_STRING(&d->digest), "size", (json_int_t) d->size);

        if (j && name &&
            json_object_set_new(j, "annotations",
                                json_pack("{s:s, s:s}", "io.containerd.image.name", name,
                                          "org.opencontainers.image.ref.name", name)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static int write_index(Export *x, Error *e) {
        static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
        const ExportOptions *o = x->options;
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        json_t *entries = json_array();
        int r = 0;

        for (size_t i = 0; i < o->n_images; i++) {
                bool named = false;

                for (size_t k = 0; k < o->n_names; k++)
                        if (o->names[k].image == i) {
                                r |= json_array_append_new(entries, index_entry(x->targets + i,
                                                                                o->names[k].name));
                                named = true;
                        }
                if (!named)
                        r |= json_array_append_new(entries, index_entry(x->targets + i, NULL));
        }
        j = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
                      "application/vnd.oci.image.index.v1+json", "manifests", entries);
        r = r == 0 && j ? json_to_text(j, &text) : -ENOMEM;
        if (r == 0)
                r = image_writer_file(x->writer, "index.json", text, strlen(text), e);
        return r == 0 ? image_writer_file(x->writer, "oci-layout", layout, strlen(layout), e) : r;
}

static int run(WorkerJob *j, Error *e) {
        Export *x = (Export *) j;
        const ExportOptions *o = x->options;
        const Descriptor *target;
        int r = 0;

        x->buffer = malloc(EXPORT_BUFFER_SIZE);
        if (!x->buffer)
                return -ENOMEM;
        x->closure = (Closure){.content_fd = x->store.content_fd,
                               .platform = o->platform,
                               .all_platforms = o->all_platforms};
        for (size_t i = 0; r == 0 && i < o->n_images; i++) {
                r = closure_add(&x->closure, o->images + i, &target, e);
                if (r == 0)
                        r = descriptor_copy(x->targets + i, target);
        }
        if (r == 0)
                r = image_writer_new(x->fd, &x->job.canceled, &x->writer, e);
        if (r == 0)
                r = o->format == EXPORT_DOCKER ? export_docker(x, e) : write_blobs(x, e);
        if (r == 0 && o->format == EXPORT_OCI)
                r = write_index(x, e);
        return r == 0 ? image_writer_finish(x->writer, e) : r;
}

static json_t *progress(WorkerJob *j) {
        Export *x = (Export *) j;
        uint64_t bytes;

        (void) pthread_mutex_lock(&x->job.mutex);
        bytes = x->bytes;
        (void) pthread_mutex_unlock(&x->job.mutex);
        return json_pack("{s:s, s:s, s:[{s:s, s:s, s:I, s:i}]}", "type", "progress", "phase",
                         "write", "layers", "ref", "archive", "phase", "upload", "offset",
                         (json_int_t) bytes, "total", 0);
}

static json_t *result(WorkerJob *j) {
        const Export *x = (Export *) j;
        json_t *images = json_array();

        for (size_t i = 0; i < x->options->n_images; i++)
                (void) json_array_append_new(images, pack_descriptor(x->targets + i));
        return json_pack("{s:s, s:o, s:I}", "type", "result", "images", images, "bytes",
                         (json_int_t) x->bytes);
}

static const JobType type = {.name = "export", .run = run, .progress = progress, .result = result};

int export_init(Export *x, const ExportOptions *options, int control_fd, Error *e) {
        assert(x && options);

        *x = (Export){.options = options, .store = STORE_NULL, .fd = -1};
        return job_init(&x->job, &type, control_fd, e);
}

void export_clear(Export *x) {
        for (size_t i = 0; i < EXPORT_IMAGES_MAX; i++)
                descriptor_clear(x->targets + i);
        closure_clear(&x->closure);
        image_writer_free(x->writer);
        free(x->buffer);
        fd_close(x->fd);
        store_close(&x->store);
        job_clear(&x->job);
}
