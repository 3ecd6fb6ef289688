/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From an archive to files in the store's ingest/: see worker/import.h. */

#include <poll.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/content.h"
#include "worker/import.h"

#define BUFFER_SIZE       (256 * 1024)
#define INGEST_RETRY_MSEC 50
#define LINKS_MAX         8

int import_add_file(Import *m, const char *name, ImportFile **ret, Error *e) {
        ImportFile *larger;

        if (m->n_files == IMPORT_FILES_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "The archive has more than %i files",
                                  IMPORT_FILES_MAX);
        for (size_t i = 0; name && i < m->n_files; i++)
                if (m->files[i].name && streq(m->files[i].name, name))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The archive has \"%.200s\" twice", name);
        larger = reallocarray(m->files, m->n_files + 1, sizeof(ImportFile));
        if (!larger)
                return -ENOMEM;
        m->files = larger;
        m->files[m->n_files] = (ImportFile){.name = name ? strdup(name) : NULL};
        if (name && !m->files[m->n_files].name)
                return -ENOMEM;
        *ret = m->files + m->n_files++;
        return 0;
}

ImportFile *import_find(Import *m, const char *name) {
        for (unsigned depth = 0; name && depth <= LINKS_MAX; depth++) {
                ImportFile *found = NULL;

                for (size_t i = 0; !found && i < m->n_files; i++)
                        if (m->files[i].name && streq(m->files[i].name, name))
                                found = m->files + i;
                if (!found || !found->link)
                        return found;
                name = found->link;
        }
        return NULL;
}

ImportFile *import_find_digest(Import *m, const Digest *d) {
        for (size_t i = 0; i < m->n_files; i++)
                if (!m->files[i].link && digest_equal(&m->files[i].digest, d))
                        return m->files + i;
        return NULL;
}

int import_read_file(Import *m, const ImportFile *f, size_t max, char **ret_data, size_t *ret_size,
                     Error *e) {
        int r;

        if (!f->ingest)
                return content_read_blob(m->store.content_fd, &f->digest, max, ret_data, ret_size,
                                         e);
        if (lseek(ingest_fd(f->ingest), 0, SEEK_SET) < 0)
                return error_setf(e, -errno, "Failed to read \"%s\": %m", strempty(f->name));
        r = fd_read_all(ingest_fd(f->ingest), max, ret_data, ret_size);
        if (r == -EFBIG)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "\"%s\" is larger than %zu bytes",
                                  strempty(f->name), max);
        return r < 0 ? error_setf(e, r, "Failed to read \"%s\": %m", strempty(f->name)) : 0;
}

int import_add_document(Import *m, const char *data, size_t size, Digest *ret, Error *e) {
        ImportFile *f = NULL;
        int r;

        r = import_add_file(m, NULL, &f, e);
        if (r == 0)
                r = ingest_open_unknown(m->store.content_fd, &f->ingest, e);
        if (r == 0)
                r = ingest_write(f->ingest, data, size, e);
        if (r == 0)
                r = ingest_verify(f->ingest, e);
        if (r != 0)
                return r;
        f->digest = *ingest_digest(f->ingest);
        f->size = size;
        f->keep = true;
        *ret = f->digest;
        return 0;
}

int import_add_image(Import *m, const Descriptor *target, const char *name, Error *e) {
        ImportImage *image = NULL;
        int r = 0;

        for (size_t i = 0; !image && i < m->n_images; i++)
                if (digest_equal(&m->images[i].target.digest, &target->digest))
                        image = m->images + i;
        if (!image) {
                if (m->n_images == IMPORT_IMAGES_MAX)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The archive has more than %i images", IMPORT_IMAGES_MAX);
                image = m->images + m->n_images;
                r = descriptor_copy(&image->target, target);
                if (r < 0)
                        return r;
                m->n_images++;
        }
        return name ? strv_extend(&image->names, name) : 0;
}

/* "blobs/sha256/<hex>" */
static bool name_to_digest(const char *name, Digest *ret) {
        const char *rest = startswith(name, "blobs/"), *slash = rest ? strchr(rest, '/') : NULL;
        char text[DIGEST_STRING_SIZE];

        if (!slash || strlen(rest) >= sizeof(text))
                return false;
        (void) snprintf(text, sizeof(text), "%.*s:%s", (int) (slash - rest), rest, slash + 1);
        return digest_parse(text, ret, NULL) == 0;
}

/* As ingest_open(), but waits for who is at the blob. */
static int open_known(Import *m, const Digest *d, uint64_t size, Ingest **ret, Error *e) {
        for (;;) {
                int r = ingest_open(m->store.content_fd, d, size, &m->job.canceled, ret, e);

                if (r != CTR_CONFLICT)
                        return r;
                if (job_is_canceled(&m->job))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                (void) poll(NULL, 0, INGEST_RETRY_MSEC);
        }
}

static int copy_entry(Import *m, ImageArchive *a, Ingest *ingest, char *buffer, Error *e) {
        /* what an interrupted job has left of the blob is not written again */
        uint64_t skip = ingest_offset(ingest);
        size_t n, skipped;
        int r;

        for (;;) {
                r = image_archive_read(a, buffer, BUFFER_SIZE, &n, e);
                if (r != 0)
                        return r;
                if (n == 0)
                        return ingest_verify(ingest, e);
                skipped = MIN_OF(skip, (uint64_t) n);
                skip -= skipped;
                r = ingest_write(ingest, buffer + skipped, n - skipped, e);
                if (r != 0)
                        return r;
                (void) pthread_mutex_lock(&m->job.mutex);
                m->bytes_read += n;
                (void) pthread_mutex_unlock(&m->job.mutex);
        }
}

static int read_entry(Import *m, ImageArchive *a, const ImageArchiveEntry *entry, char *buffer,
                      Error *e) {
        ImportFile *f;
        int r;

        r = import_add_file(m, entry->name, &f, e);
        if (r != 0)
                return r;
        f->size = entry->size;
        if (entry->link) {
                f->link = strdup(entry->link);
                return f->link ? 0 : -ENOMEM;
        }
        if (name_to_digest(entry->name, &f->digest)) {
                r = open_known(m, &f->digest, entry->size, &f->ingest, e);
                /* the store's one is verified */
                if (r == CTR_ALREADY_EXISTS)
                        return 0;
        } else
                r = ingest_open_unknown(m->store.content_fd, &f->ingest, e);
        if (r == 0)
                r = copy_entry(m, a, f->ingest, buffer, e);
        if (r != 0)
                return r;
        f->digest = *ingest_digest(f->ingest);
        f->size = ingest_offset(f->ingest);
        return 0;
}

int import_read_archive(Import *m, Error *e) {
        _cleanup_(image_archive_freep) ImageArchive *a = NULL;
        _cleanup_free_ char *buffer = NULL;
        ImageArchiveEntry entry;
        int r;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                return -ENOMEM;
        r = image_archive_open(m->fd, &m->job.canceled, &a, e);
        if (r != 0)
                return r;
        for (;;) {
                r = image_archive_next(a, &entry, e);
                if (r != 0 || !entry.name)
                        return r;
                r = read_entry(m, a, &entry, buffer, e);
                if (r != 0)
                        return error_prefix(e, r, "\"%.200s\"", entry.name);
        }
}
