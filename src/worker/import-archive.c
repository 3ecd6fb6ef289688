/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From an archive to files in the store's ingest/: see worker/import.h. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/content.h"
#include "snapshot/beneath.h"
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

/* Where the data of a file comes from: the archive's current entry, or an open file. */
typedef struct Source {
        ImageArchive *archive; /* NULL: fd */
        int fd;
        char *buffer;
} Source;

static int source_read(Import *m, const Source *s, size_t *ret_size, Error *e) {
        return s->archive ? image_archive_read(s->archive, s->buffer, BUFFER_SIZE, ret_size, e)
                          : fd_read_canceled(s->fd, s->buffer, BUFFER_SIZE, &m->job.canceled,
                                             ret_size, e);
}

static int copy_file(Import *m, const Source *s, Ingest *ingest, Error *e) {
        /* what an interrupted job has left of the blob is not written again */
        uint64_t skip = ingest_offset(ingest);
        size_t n, skipped;
        int r;

        for (;;) {
                r = source_read(m, s, &n, e);
                if (r != 0)
                        return r;
                if (n == 0)
                        return ingest_verify(ingest, e);
                skipped = (size_t) MIN_OF(skip, (uint64_t) n);
                skip -= skipped;
                r = ingest_write(ingest, s->buffer + skipped, n - skipped, e);
                if (r != 0)
                        return r;
                (void) pthread_mutex_lock(&m->job.mutex);
                m->bytes_read += n;
                (void) pthread_mutex_unlock(&m->job.mutex);
        }
}

static int read_entry(Import *m, const Source *s, const ImageArchiveEntry *entry, Error *e) {
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
                r = copy_file(m, s, f->ingest, e);
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
        Source source;
        int r;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                return -ENOMEM;
        r = image_archive_open(m->fd, &m->job.canceled, &a, e);
        if (r != 0)
                return r;
        source = (Source){.archive = a, .buffer = buffer};
        for (;;) {
                r = image_archive_next(a, &entry, e);
                if (r != 0 || !entry.name)
                        return r;
                r = read_entry(m, &source, &entry, e);
                if (r != 0)
                        return error_prefix(e, r, "\"%.200s\"", entry.name);
        }
}

static int read_layout_file(Import *m, const char *name, char *buffer, Error *e) {
        _cleanup_close_ int fd = -1;
        Source source = {.buffer = buffer};
        struct stat st;
        int r;

        fd = beneath_open(m->fd, name, O_RDONLY | O_NONBLOCK);
        if (fd == -ENOENT)
                return 0; /* who needs it says so */
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(e, fd < 0 ? fd : -errno, "Failed to open \"%s\": %m", name);
        if (!S_ISREG(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a regular file", name);
        source.fd = fd;
        r = read_entry(m, &source,
                       &(ImageArchiveEntry){.name = name, .size = (uint64_t) st.st_size}, e);
        return r == 0 ? 0 : error_prefix(e, r, "\"%.200s\"", name);
}

static int read_layout_blobs(Import *m, DigestAlgorithm algorithm, char *buffer, Error *e) {
        char name[STRLEN("blobs/sha512/") + NAME_MAX + 1];
        _cleanup_close_ int fd = -1;
        struct dirent *entry;
        DIR *stream;
        int r = 0;

        (void) snprintf(name, sizeof(name), "blobs/%s", digest_algorithm_to_string(algorithm));
        fd = beneath_open(m->fd, name, O_RDONLY | O_DIRECTORY);
        if (fd == -ENOENT)
                return 0;
        stream = fd >= 0 ? dir_stream_open_at(fd, ".") : NULL;
        if (!stream)
                return error_setf(e, fd < 0 ? fd : -errno, "Failed to open \"%s\": %m", name);
        while (r == 0 && (errno = 0, entry = readdir(stream))) {
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                (void) snprintf(name, sizeof(name), "blobs/%s/%s",
                                digest_algorithm_to_string(algorithm), entry->d_name);
                r = read_layout_file(m, name, buffer, e);
        }
        if (r == 0 && errno != 0)
                r = error_setf(e, -errno, "Failed to read the image layout: %m");
        (void) closedir(stream);
        return r;
}

int import_read_layout(Import *m, Error *e) {
        _cleanup_free_ char *buffer = NULL;
        int r;

        buffer = malloc(BUFFER_SIZE);
        if (!buffer)
                return -ENOMEM;
        r = read_layout_file(m, "oci-layout", buffer, e);
        if (r == 0)
                r = read_layout_file(m, "index.json", buffer, e);
        for (DigestAlgorithm a = 0; r == 0 && a < _DIGEST_ALGORITHM_MAX; a++)
                r = read_layout_blobs(m, a, buffer, e);
        return r;
}
