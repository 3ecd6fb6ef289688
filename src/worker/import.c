/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/import.h"

#include "basic/strv.h"
#include "worker/packet.h"
#include "worker/pull-packet.h"

static int find_images(Import *m, Error *e) {
        const ImportFile *layout, *index, *list;
        int r;

        if (m->options->rootfs) {
                r = trust_check_archive(&m->trust, "tarball", e);
                return r == 0 ? import_rootfs(m, e) : r;
        }
        r = m->is_directory ? import_read_layout(m, e) : import_read_archive(m, e);
        if (r != 0)
                return r;
        layout = import_find(m, "oci-layout");
        index = import_find(m, "index.json");
        list = import_find(m, "manifest.json");
        /* newer versions of docker write both, and the manifests of the former are the image's own
         */
        if (layout && index) {
                r = trust_check_archive(&m->trust, m->is_directory ? "oci" : "oci-archive", e);
                return r == 0 ? import_oci(m, index, e) : r;
        }
        if (list) {
                r = trust_check_archive(&m->trust, "docker-archive", e);
                return r == 0 ? import_docker(m, list, e) : r;
        }
        return error_setf(
                        e, CTR_INVALID_ARGUMENT,
                        "The archive is neither an OCI archive nor one of docker save; a root file "
                        "system has to be called one");
}

/* What images refer to goes into the store, the rest away. */
static int commit(Import *m, Error *e) {
        _cleanup_free_ Ingest **kept = NULL;
        size_t n = 0;
        int r;

        kept = calloc(m->n_files + 1, sizeof(Ingest *));
        if (!kept)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].keep && m->files[i].ingest)
                        kept[n++] = m->files[i].ingest;
        r = ingest_commit_all(m->store.content_fd, kept, n, false, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < m->n_files; i++) {
                if (m->files[i].ingest && !m->files[i].keep)
                        ingest_discard(m->files[i].ingest);
                m->files[i].ingest = ingest_free(m->files[i].ingest);
        }
        return 0;
}

/* The image as something that can be pulled out of the store. */
static int begin_image(Import *m, ImportImage *image, Pull *earlier) {
        Reference *ref;

        image->pull = calloc(1, sizeof(Pull));
        if (!image->pull)
                return -ENOMEM;
        pull_init(image->pull, &m->job, &m->store, &m->options->pull);
        image->pull->earlier = earlier;
        ref = &image->pull->reference;
        ref->registry = strdup("localhost");
        ref->repository = strdup("import");
        ref->has_digest = true;
        ref->digest = image->target.digest;
        if (!ref->registry || !ref->repository)
                return -ENOMEM;
        (void) pthread_mutex_lock(&m->job.mutex);
        m->current = image->pull;
        (void) pthread_mutex_unlock(&m->job.mutex);
        return 0;
}

static int run(WorkerJob *j, Error *e) {
        Import *m = (Import *) j;
        int r;

        ingest_sweep_unknown(m->store.content_fd);
        r = find_images(m, e);
        if (r == 0 && m->n_images == 0)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "The archive has no image");
        if (r == 0)
                r = commit(m, e);
        for (size_t i = 0; r == 0 && i < m->n_images; i++) {
                r = begin_image(m, m->images + i, i > 0 ? m->images[i - 1].pull : NULL);
                if (r == 0)
                        r = pull_run(m->images[i].pull, NULL, e);
        }
        return r;
}

static void undo(WorkerJob *j) {
        Import *m = (Import *) j;

        /* nothing of them can be taken up by another import: the archive may have been a pipe */
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].ingest)
                        ingest_discard(m->files[i].ingest);
        for (size_t i = 0; i < m->n_images; i++)
                if (m->images[i].pull)
                        pull_undo(m->images[i].pull);
}

static json_t *progress(WorkerJob *j) {
        Import *m = (Import *) j;
        uint64_t bytes;
        Pull *current;

        (void) pthread_mutex_lock(&m->job.mutex);
        current = m->current;
        bytes = m->bytes_read;
        (void) pthread_mutex_unlock(&m->job.mutex);
        return current ? pack_pull_progress(current)
                       : json_pack("{s:s, s:s, s:[{s:s, s:s, s:I, s:i}]}", "type", "progress",
                                   "phase", "read", "layers", "ref", "archive", "phase", "download",
                                   "offset", (json_int_t) bytes, "total", 0);
}

static json_t *plan(WorkerJob *j) {
        return pack_pull_plan(((Import *) j)->current);
}

static int answer(WorkerJob *j, json_t *packet, Error *e) {
        return unpack_pull_have(((Import *) j)->current, packet, e);
}

/* What a pull would say of it, with the names of the archive instead of a reference. */
static json_t *pack_image(const ImportImage *image) {
        json_t *j = pack_pull_result(image->pull), *names = json_array();

        STRV_FOREACH(name, image->names)
                (void) json_array_append_new(names, json_string(*name));
        if (!j || json_object_set_new(j, "names", names) < 0) {
                json_decref(j);
                return NULL;
        }
        (void) json_object_del(j, "reference");
        (void) json_object_del(j, "type");
        return j;
}

static json_t *result(WorkerJob *j) {
        Import *m = (Import *) j;
        json_t *images = json_array(), *kept = json_array();

        for (size_t i = 0; i < m->n_images; i++)
                (void) json_array_append_new(images, pack_image(m->images + i));
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].keep)
                        (void) json_array_append_new(kept, json_string(DIGEST_STRING(
                                                                           &m->files[i].digest)));
        if (json_array_size(images) != m->n_images) {
                json_decref(images);
                json_decref(kept);
                return NULL;
        }
        return json_pack("{s:s, s:o, s:o}", "type", "result", "images", images, "kept", kept);
}

static const JobType type = {
                .name = "import",
                .run = run,
                .undo = undo,
                .progress = progress,
                .plan = plan,
                .answer = answer,
                .result = result,
};

int import_init(Import *m, const ImportOptions *options, int control_fd, Error *e) {
        assert(m && options);

        *m = (Import){.options = options, .store = STORE_NULL, .fd = -1};
        return job_init(&m->job, &type, control_fd, e);
}

void import_clear(Import *m) {
        for (size_t i = 0; i < m->n_files; i++) {
                ingest_free(m->files[i].ingest);
                free(m->files[i].name);
                free(m->files[i].link);
        }
        free(m->files);
        for (size_t i = 0; i < m->n_images; i++) {
                if (m->images[i].pull)
                        pull_clear(m->images[i].pull);
                free(m->images[i].pull);
                descriptor_clear(&m->images[i].target);
                strv_free(m->images[i].names);
        }
        fd_close(m->fd);
        trust_clear(&m->trust);
        store_close(&m->store);
        job_clear(&m->job);
}
