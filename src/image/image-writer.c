/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/image-writer.h"

#include "basic/stream.h"
#include "basic/tar-library.h"

#define BLOCK_SIZE 10240
#define SLICE_MSEC 100

struct ImageWriter {
        StreamOut out;
        const atomic_bool *canceled;
        struct archive *archive;
        struct archive_entry *entry;
        uint64_t left; /* of the current file */
        int result;    /* of writing; libarchive is not told */
        Error *e;
};

static int write_piece(ImageWriter *w, const void *data, size_t size, size_t *ret_size) {
        ssize_t n;

        do {
                if (w->canceled && atomic_load(w->canceled))
                        return error_setf(w->e, CTR_CANCELED, "The job was canceled");
                n = stream_out_write(&w->out, data, size, SLICE_MSEC);
        } while (n == 0 && size > 0);
        if (n < 0)
                return error_setf(w->e, (int) n, "Failed to write the archive: %m");
        *ret_size = (size_t) n;
        return 0;
}

/* libarchive 3.6 forgets its buffers when a write has failed, so that none ever does for it: what
 * comes after a failure goes nowhere. */
static la_ssize_t on_write(struct archive *archive, void *userdata, const void *data, size_t size) {
        ImageWriter *w = userdata;
        size_t n = size;

        if (w->result == 0)
                w->result = write_piece(w, data, size, &n);
        return (la_ssize_t) n;
}

/* What a call of libarchive has come to. */
static int outcome(ImageWriter *w, bool good, Error *e) {
        const char *text;

        if (w->result != 0 || good)
                return w->result;
        text = tar_library.archive_error_string(w->archive);
        if (tar_library.archive_errno(w->archive) == ENOMEM)
                return -ENOMEM;
        return error_setf(e, -EIO, "Failed to write the archive: %s", text ? text : "unknown");
}

int image_writer_new(int fd, const atomic_bool *canceled, ImageWriter **ret, Error *e) {
        _cleanup_(image_writer_freep) ImageWriter *w = NULL;
        int r;

        assert(fd >= 0 && ret);

        w = calloc(1, sizeof(ImageWriter));
        if (!w)
                return -ENOMEM;
        *w = (ImageWriter){.canceled = canceled, .e = e};
        r = stream_out_init(&w->out, fd);
        if (r < 0)
                return error_setf(e, r, "Failed to look at the archive: %m");
        r = tar_library_load(e);
        if (r != 0)
                return r;
        w->archive = tar_library.archive_write_new();
        w->entry = tar_library.archive_entry_new();
        if (!w->archive || !w->entry)
                return -ENOMEM;
        /* ustar wherever it is enough; no padding, which would depend on the kind of the file */
        r = outcome(w,
                    tar_library.archive_write_set_format_pax_restricted(w->archive) == ARCHIVE_OK &&
                                    tar_library.archive_write_set_bytes_per_block(w->archive,
                                                                                  BLOCK_SIZE) ==
                                                    ARCHIVE_OK &&
                                    tar_library.archive_write_set_bytes_in_last_block(w->archive,
                                                                                      1) ==
                                                    ARCHIVE_OK &&
                                    tar_library.archive_write_open(w->archive, w, NULL, on_write,
                                                                   NULL) == ARCHIVE_OK,
                    e);
        if (r == 0)
                *ret = TAKE_PTR(w);
        return r;
}

ImageWriter *image_writer_free(ImageWriter *w) {
        if (!w)
                return NULL;
        /* what was not finished is not to be completed now */
        if (w->result == 0)
                w->result = -ECANCELED;
        if (w->archive)
                (void) tar_library.archive_write_free(w->archive);
        if (w->entry)
                tar_library.archive_entry_free(w->entry);
        free(w);
        return NULL;
}

int image_writer_begin(ImageWriter *w, const char *name, uint64_t size, Error *e) {
        assert(w && name && w->left == 0);

        w->e = e;
        tar_library.archive_entry_clear(w->entry);
        tar_library.archive_entry_set_pathname(w->entry, name);
        tar_library.archive_entry_set_size(w->entry, (la_int64_t) size);
        tar_library.archive_entry_set_filetype(w->entry, AE_IFREG);
        tar_library.archive_entry_set_perm(w->entry, 0444);
        tar_library.archive_entry_set_mtime(w->entry, 0, 0);
        w->left = size;
        return outcome(w, tar_library.archive_write_header(w->archive, w->entry) == ARCHIVE_OK, e);
}

int image_writer_data(ImageWriter *w, const void *data, size_t size, Error *e) {
        assert(w && (data || size == 0));

        w->e = e;
        if (size > w->left)
                return error_setf(e, CTR_DATA_LOSS, "A file is larger than it was before");
        w->left -= size;
        return outcome(w,
                       size == 0 || tar_library.archive_write_data(w->archive, data, size) ==
                                                       (la_ssize_t) size,
                       e);
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
        return outcome(w, tar_library.archive_write_close(w->archive) == ARCHIVE_OK, e);
}
