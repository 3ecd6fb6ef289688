/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/image-archive.h"

#include <limits.h>
#include <poll.h>

#include "basic/tar-library.h"
#include "image/inflate.h"

#define ENTRIES_MAX (64 * 1024)
#define BYTES_MAX   (UINT64_C(256) << 30)
#define BUFFER_SIZE (256 * 1024)
#define SLICE_MSEC  100

struct ImageArchive {
        int fd; /* the caller's */
        const atomic_bool *canceled;
        char head[8]; /* read to find out how it is compressed */
        size_t n_head, head_given;
        Inflate *inflate;
        struct archive *archive;
        char *buffer, *name, *link;
        uint64_t entries, bytes;
        int source_result; /* libarchive cannot carry our errors */
        Error *e;
};

int fd_read_canceled(int fd, void *buffer, size_t size, const atomic_bool *canceled,
                     size_t *ret_size, Error *e) {
        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n;

                if (canceled && atomic_load(canceled))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                n = poll(&p, 1, SLICE_MSEC);
                if (n == 0 || (n < 0 && errno == EINTR))
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to wait for the archive: %m");
                n = read(fd, buffer, size);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to read the archive: %m");
                *ret_size = (size_t) n;
                return 0;
        }
}

/* InflateSource: the archive as it is stored. */
static int read_stored(void *userdata, void *buffer, size_t size, size_t *ret_size, Error *e) {
        ImageArchive *a = userdata;

        if (a->head_given < a->n_head) {
                *ret_size = MIN_OF(size, a->n_head - a->head_given);
                memcpy(buffer, a->head + a->head_given, *ret_size);
                a->head_given += *ret_size;
                return 0;
        }
        return fd_read_canceled(a->fd, buffer, size, a->canceled, ret_size, e);
}

static ssize_t on_read(struct archive *archive, void *userdata, const void **ret) {
        ImageArchive *a = userdata;
        size_t n = 0;

        if (a->source_result == 0)
                a->source_result = inflate_read(a->inflate, a->buffer, BUFFER_SIZE, &n, a->e);
        a->bytes += n;
        if (a->source_result == 0 && a->bytes > BYTES_MAX)
                a->source_result = error_setf(a->e, CTR_RESOURCE_EXHAUSTED,
                                              "The archive is larger than %llu bytes",
                                              (unsigned long long) BYTES_MAX);
        if (a->source_result != 0) {
                tar_library.archive_set_error(archive, EIO, "source failed");
                return -1;
        }
        *ret = a->buffer;
        return (ssize_t) n;
}

static int failed(ImageArchive *a, const char *where, Error *e) {
        const char *text = tar_library.archive_error_string(a->archive);

        if (a->source_result != 0)
                return a->source_result;
        if (tar_library.archive_errno(a->archive) == ENOMEM)
                return -ENOMEM;
        return error_setf(e, CTR_DATA_LOSS, "%s: %s", where, text ? text : "bad tar archive");
}

static int read_head(ImageArchive *a, Compression *ret, Error *e) {
        while (a->n_head < sizeof(a->head)) {
                size_t n = 0;
                int r;

                r = fd_read_canceled(a->fd, a->head + a->n_head, sizeof(a->head) - a->n_head,
                                     a->canceled, &n, e);
                if (r != 0)
                        return r;
                if (n == 0)
                        break;
                a->n_head += n;
        }
        *ret = compression_detect(a->head, a->n_head);
        return 0;
}

int image_archive_open(int fd, const atomic_bool *canceled, ImageArchive **ret, Error *e) {
        _cleanup_(image_archive_freep) ImageArchive *a = NULL;
        Compression compression;
        int r;

        assert(fd >= 0 && ret);

        a = calloc(1, sizeof(ImageArchive));
        if (!a)
                return -ENOMEM;
        a->fd = fd;
        a->canceled = canceled;
        a->buffer = malloc(BUFFER_SIZE);
        r = tar_library_load(e);
        if (r != 0)
                return r;
        a->archive = tar_library.archive_read_new();
        if (!a->buffer || !a->archive)
                return -ENOMEM;
        r = read_head(a, &compression, e);
        if (r == 0)
                r = inflate_new(compression, read_stored, a, &a->inflate);
        if (r != 0)
                return r;
        a->e = e;
        if (tar_library.archive_read_support_format_tar(a->archive) != ARCHIVE_OK ||
            tar_library.archive_read_open(a->archive, a, NULL, on_read, NULL) != ARCHIVE_OK)
                return failed(a, "The archive", e);
        *ret = TAKE_PTR(a);
        return 0;
}

ImageArchive *image_archive_free(ImageArchive *a) {
        if (!a)
                return NULL;
        if (a->archive)
                (void) tar_library.archive_read_free(a->archive);
        inflate_free(a->inflate);
        free(a->buffer);
        free(a->name);
        free(a->link);
        free(a);
        return NULL;
}

/* Brings path, relative to the first n bytes of base, to the form that the invariant asks for. */
static int clean(const char *base, size_t n, const char *path, char **ret, Error *e) {
        _cleanup_free_ char *joined = NULL, *result = NULL;
        char *part, *state = NULL;

        if (asprintf(&joined, "%.*s/%s", (int) n, base, path) < 0) {
                joined = NULL;
                return -ENOMEM;
        }
        result = calloc(1, strlen(joined) + 1);
        if (!result)
                return -ENOMEM;
        for (part = strtok_r(joined, "/", &state); part; part = strtok_r(NULL, "/", &state)) {
                char *slash = strrchr(result, '/');

                if (streq(part, "."))
                        continue;
                if (streq(part, "..")) {
                        if (!*result)
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "The name \"%.200s\" leads out of the archive",
                                                  path);
                        *(slash ? slash : result) = '\0';
                        continue;
                }
                if (*result)
                        strcat(result, "/");
                strcat(result, part);
        }
        *ret = TAKE_PTR(result);
        return 0;
}

/* The entry's name and target. */
static int take_names(ImageArchive *a, struct archive_entry *entry, Error *e) {
        const char *name = tar_library.archive_entry_pathname(entry),
                   *link = tar_library.archive_entry_hardlink(entry);
        const char *slash;
        bool symbolic = !link && tar_library.archive_entry_filetype(entry) == AE_IFLNK;
        int r;

        free(a->name);
        free(a->link);
        a->name = a->link = NULL;
        if (symbolic)
                link = tar_library.archive_entry_symlink(entry);
        if (!name || (symbolic && !link))
                return error_setf(e, CTR_DATA_LOSS, "An entry has a name that is not UTF-8");
        if (strlen(name) >= PATH_MAX || (link && strlen(link) >= PATH_MAX) || *name == '/' ||
            (link && *link == '/') || strstr(name, ".."))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%.200s\" is no name in an archive of an image", name);
        r = clean("", 0, name, &a->name, e);
        if (r != 0 || !link)
                return r;
        slash = symbolic ? strrchr(a->name, '/') : NULL;
        return clean(a->name, slash ? (size_t) (slash - a->name) : 0, link, &a->link, e);
}

int image_archive_next(ImageArchive *a, ImageArchiveEntry *ret, Error *e) {
        assert(a && ret);

        a->e = e;
        for (;;) {
                struct archive_entry *entry;
                mode_t type;
                int r;

                r = tar_library.archive_read_next_header(a->archive, &entry);
                if (r == ARCHIVE_EOF) {
                        *ret = (ImageArchiveEntry){};
                        return 0;
                }
                if (r != ARCHIVE_OK)
                        return failed(a, "The archive", e);
                if (++a->entries > ENTRIES_MAX)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The archive has more than %i entries", ENTRIES_MAX);
                type = tar_library.archive_entry_filetype(entry);
                if (type == AE_IFDIR)
                        continue;
                r = take_names(a, entry, e);
                if (r != 0)
                        return r;
                if (!a->link && type != AE_IFREG)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" is neither a file nor a link", a->name);
                if (tar_library.archive_entry_size(entry) < 0 ||
                    (uint64_t) tar_library.archive_entry_size(entry) > BYTES_MAX)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "\"%s\" is larger than %llu bytes", a->name,
                                          (unsigned long long) BYTES_MAX);
                *ret = (ImageArchiveEntry){.name = a->name,
                                           .link = a->link,
                                           .size = (uint64_t) tar_library.archive_entry_size(
                                                           entry)};
                return 0;
        }
}

int image_archive_read(ImageArchive *a, void *buffer, size_t size, size_t *ret_size, Error *e) {
        la_ssize_t n;

        a->e = e;
        n = tar_library.archive_read_data(a->archive, buffer, size);
        if (n < 0)
                return failed(a, a->name, e);
        *ret_size = (size_t) n;
        return 0;
}
