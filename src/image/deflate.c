/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/deflate.h"

#include <zlib.h>
#include <zstd.h>

#define OUTPUT_SIZE (256U * 1024)
/* as gzip(1) and zstd(1) without an option */
#define GZIP_LEVEL  6
#define ZSTD_LEVEL  3
#define GZIP_WINDOW (15 + 16) /* the largest, and gzip's header instead of zlib's */
#define GZIP_MEMORY 8

struct Deflate {
        Compression compression;
        DeflateSink sink;
        void *userdata;
        z_stream gzip;
        bool gzip_begun;
        ZSTD_CCtx *zstd;
        unsigned char *output;
};

int deflate_new(Compression compression, DeflateSink sink, void *userdata, Deflate **ret) {
        _cleanup_(deflate_freep) Deflate *d = NULL;

        assert(sink && ret);

        d = calloc(1, sizeof(Deflate));
        if (!d)
                return -ENOMEM;
        d->compression = compression;
        d->sink = sink;
        d->userdata = userdata;
        d->output = malloc(OUTPUT_SIZE);
        if (!d->output)
                return -ENOMEM;
        if (compression == COMPRESSION_GZIP) {
                if (deflateInit2(&d->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                                 Z_DEFAULT_STRATEGY) != Z_OK)
                        return -ENOMEM;
                d->gzip_begun = true;
        }
        if (compression == COMPRESSION_ZSTD) {
                d->zstd = ZSTD_createCCtx();
                if (!d->zstd ||
                    ZSTD_isError(ZSTD_CCtx_setParameter(d->zstd, ZSTD_c_compressionLevel,
                                                        ZSTD_LEVEL)) ||
                    ZSTD_isError(ZSTD_CCtx_setParameter(d->zstd, ZSTD_c_checksumFlag, 1)))
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(d);
        return 0;
}

Deflate *deflate_free(Deflate *d) {
        if (!d)
                return NULL;
        if (d->gzip_begun)
                (void) deflateEnd(&d->gzip);
        (void) ZSTD_freeCCtx(d->zstd);
        free(d->output);
        free(d);
        return NULL;
}

/* Runs until all of the input is taken and, at the end, all has come out. */
static int gzip_run(Deflate *d, const void *data, size_t size, bool end, Error *e) {
        /* zlib reads from there only */
        d->gzip.next_in = (unsigned char *) (uintptr_t) data;
        do {
                uInt n = (uInt) MIN_OF(size, (size_t) 1 << 30);
                int r, state;

                d->gzip.avail_in = n;
                size -= n;
                do {
                        d->gzip.next_out = d->output;
                        d->gzip.avail_out = OUTPUT_SIZE;
                        state = deflate(&d->gzip, end && size == 0 ? Z_FINISH : Z_NO_FLUSH);
                        assert(state != Z_STREAM_ERROR);
                        if (d->gzip.avail_out == OUTPUT_SIZE)
                                break;
                        r = d->sink(d->userdata, d->output, OUTPUT_SIZE - d->gzip.avail_out, e);
                        if (r != 0)
                                return r;
                } while (d->gzip.avail_out == 0);
        } while (size > 0);
        return 0;
}

static int zstd_run(Deflate *d, const void *data, size_t size, bool end, Error *e) {
        ZSTD_inBuffer in = {.src = data, .size = size};
        size_t left;

        do {
                ZSTD_outBuffer out = {.dst = d->output, .size = OUTPUT_SIZE};
                int r;

                left = ZSTD_compressStream2(d->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
                if (ZSTD_isError(left))
                        return error_setf(e, -ENOMEM, "Failed to compress: %s",
                                          ZSTD_getErrorName(left));
                r = out.pos > 0 ? d->sink(d->userdata, d->output, out.pos, e) : 0;
                if (r != 0)
                        return r;
        } while (in.pos < in.size || (end && left > 0));
        return 0;
}

static int run(Deflate *d, const void *data, size_t size, bool end, Error *e) {
        if (d->compression == COMPRESSION_GZIP)
                return gzip_run(d, data, size, end, e);
        if (d->compression == COMPRESSION_ZSTD)
                return zstd_run(d, data, size, end, e);
        return size > 0 ? d->sink(d->userdata, data, size, e) : 0;
}

int deflate_write(Deflate *d, const void *data, size_t size, Error *e) {
        return run(d, data, size, false, e);
}

int deflate_finish(Deflate *d, Error *e) {
        return run(d, "", 0, true, e);
}
