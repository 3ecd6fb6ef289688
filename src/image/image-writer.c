/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/image-writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <poll.h>

#define BLOCK_SIZE 10240
#define SLICE_MSEC 100

struct ImageWriter {
        int fd; /* the caller's */
        const atomic_bool *canceled;
        struct archive *archive;
        struct archive_entry *entry;
        uint64_t left; /* of the current file */
        int result;    /* libarchive cannot carry our errors */
        Error *e;
};

static la_ssize_t on_write(struct archive *archive, void *userdata, const void *data, size_t size) {
        ImageWriter *w = userdata;

        for (;;) {
                struct pollfd p = {.fd = w->fd, .events = POLLOUT};
                ssize_t n;

                if (w->canceled && atomic_load(w->canceled)) {
                        w->result = error_setf(w->e, CTR_CANCELED, "The job was canceled");
                        break;
                }
                if (poll(&p, 1, SLICE_MSEC) == 0)
                        continue;
                n = write(w->fd, data, size);
                if (n >= 0)
                        return n;
                if (errno != EINTR && errno != EAGAIN) {
                        w->result = error_setf(w->e, -errno, "Failed to write the archive: %m");
                        break;
                }
        }
        archive_set_error(archive, EIO, "sink failed");
        return -1;
}

static int failed(ImageWriter *w, Error *e) {
        const char *text = archive_error_string(w->archive);

        if (w->result != 0)
                return w->result;
        if (archive_errno(w->archive) == ENOMEM)
                return -ENOMEM;
        return error_setf(e, -EIO, "Failed to write the archive: %s", text ? text : "unknown");
}

int image_writer_new(int fd, const atomic_bool *canceled, ImageWriter **ret, Error *e) {
        _cleanup_(image_writer_freep) ImageWriter *w = NULL;

        assert(fd >= 0 && ret);

        w = calloc(1, sizeof(ImageWriter));
        if (!w)
                return -ENOMEM;
        *w = (ImageWriter){.fd = fd, .canceled = canceled, .e = e};
        w->archive = archive_write_new();
        w->entry = archive_entry_new();
        if (!w->archive || !w->entry)
                return -ENOMEM;
        /* ustar wherever it is enough; no padding, which would depend on the kind of the file */
        if (archive_write_set_format_pax_restricted(w->archive) != ARCHIVE_OK ||
            archive_write_set_bytes_per_block(w->archive, BLOCK_SIZE) != ARCHIVE_OK ||
            archive_write_set_bytes_in_last_block(w->archive, 1) != ARCHIVE_OK ||
            archive_write_open(w->archive, w, NULL, on_write, NULL) != ARCHIVE_OK)
                return failed(w, e);
        *ret = TAKE_PTR(w);
        return 0;
}

ImageWriter *image_writer_free(ImageWriter *w) {
        if (!w)
                return NULL;
        if (w->archive) {
                /* what was not finished is not to be completed now */
                (void) archive_write_fail(w->archive);
                (void) archive_write_free(w->archive);
        }
        archive_entry_free(w->entry);
        free(w);
        return NULL;
}

int image_writer_begin(ImageWriter *w, const char *name, uint64_t size, Error *e) {
        assert(w && name && w->left == 0);

        w->e = e;
        archive_entry_clear(w->entry);
        archive_entry_set_pathname(w->entry, name);
        archive_entry_set_size(w->entry, (la_int64_t) size);
        archive_entry_set_filetype(w->entry, AE_IFREG);
        archive_entry_set_perm(w->entry, 0444);
        archive_entry_set_mtime(w->entry, 0, 0);
        if (archive_write_header(w->archive, w->entry) != ARCHIVE_OK)
                return failed(w, e);
        w->left = size;
        return 0;
}

int image_writer_data(ImageWriter *w, const void *data, size_t size, Error *e) {
        assert(w && (data || size == 0));

        w->e = e;
        if (size > w->left)
                return error_setf(e, CTR_DATA_LOSS, "A file is larger than it was before");
        if (size > 0 && archive_write_data(w->archive, data, size) != (la_ssize_t) size)
                return failed(w, e);
        w->left -= size;
        return 0;
}

int image_writer_file(ImageWriter *w, const char *name, const void *data, size_t size, Error *e) {
        int r;

        r = image_writer_begin(w, name, size, e);
        return r == 0 ? image_writer_data(w, data, size, e) : r;
}

int image_writer_finish(ImageWriter *w, Error *e) {
        assert(w);

        w->e = e;
        if (w->left > 0)
                return error_setf(e, CTR_DATA_LOSS, "A file is smaller than it was before");
        return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : failed(w, e);
}
