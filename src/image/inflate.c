/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/inflate.h"

#if HAVE_ISAL
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif
#include <zstd.h>
#include <zstd_errors.h>

#define INPUT_SIZE (256 * 1024)
/* 128 MiB, where zstd(1) stops as well: common levels need 8 MiB at most, but level 22 is legal */
#define ZSTD_WINDOW_LOG_MAX 27

struct Inflate {
        Compression compression;
        InflateSource source;
        void *userdata;

        unsigned char *input;
        size_t position, end; /* of what input holds and is not consumed yet */
        bool source_ended;
        bool in_member; /* of a gzip file, or frame of a zstd file */
        bool any_member;

#if HAVE_ISAL
        struct inflate_state *gzip;
#else
        z_stream *gzip;
#endif
        ZSTD_DCtx *zstd;
};

static int gzip_init(Inflate *i) {
#if HAVE_ISAL
        i->gzip = calloc(1, sizeof(struct inflate_state));
        if (!i->gzip)
                return -ENOMEM;
        isal_inflate_init(i->gzip);
        i->gzip->crc_flag = ISAL_GZIP;
        return 0;
#else
        i->gzip = calloc(1, sizeof(z_stream));
        if (!i->gzip)
                return -ENOMEM;
        return inflateInit2(i->gzip, 15 + 16) == Z_OK ? 0 : -ENOMEM;
#endif
}

static void gzip_reset(Inflate *i) {
#if HAVE_ISAL
        isal_inflate_reset(i->gzip);
        i->gzip->crc_flag = ISAL_GZIP;
#else
        (void) inflateReset(i->gzip);
#endif
}

/* Runs over the input once. *ret_size bytes came out; *ret_ended at the end of a member. 0 or
 * -EBADMSG. */
static int gzip_step(Inflate *i, void *buf, size_t size, size_t *ret_size, bool *ret_ended) {
        unsigned n = (unsigned) MIN_OF(size, (size_t) 1 << 30);
        int r;

        i->gzip->next_in = i->input + i->position;
        i->gzip->avail_in = (unsigned) (i->end - i->position);
        i->gzip->next_out = buf;
        i->gzip->avail_out = n;
#if HAVE_ISAL
        r = isal_inflate(i->gzip);
        if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT && r != ISAL_OUT_OVERFLOW)
                return -EBADMSG;
        *ret_ended = i->gzip->block_state == ISAL_BLOCK_FINISH;
#else
        r = inflate(i->gzip, Z_NO_FLUSH);
        if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
                return -EBADMSG;
        *ret_ended = r == Z_STREAM_END;
#endif
        i->position = i->end - i->gzip->avail_in;
        *ret_size = n - i->gzip->avail_out;
        return 0;
}

static int zstd_step(Inflate *i, void *buf, size_t size, size_t *ret_size, bool *ret_ended) {
        ZSTD_inBuffer in = {.src = i->input, .size = i->end, .pos = i->position};
        ZSTD_outBuffer out = {.dst = buf, .size = size};
        size_t k;

        k = ZSTD_decompressStream(i->zstd, &out, &in);
        if (ZSTD_isError(k))
                return ZSTD_getErrorCode(k) == ZSTD_error_frameParameter_windowTooLarge ? -EFBIG
                                                                                        : -EBADMSG;
        i->position = in.pos;
        *ret_size = out.pos;
        *ret_ended = k == 0;
        return 0;
}

Compression compression_detect(const void *data, size_t size) {
        if (size >= 2 && memcmp(data, "\x1f\x8b", 2) == 0)
                return COMPRESSION_GZIP;
        if (size >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0)
                return COMPRESSION_ZSTD;
        return COMPRESSION_NONE;
}

int inflate_new(Compression compression, InflateSource source, void *userdata, Inflate **ret) {
        _cleanup_(inflate_freep) Inflate *i = NULL;
        int r;

        assert(source && ret);

        i = calloc(1, sizeof(Inflate));
        if (!i)
                return -ENOMEM;
        *i = (Inflate){.compression = compression, .source = source, .userdata = userdata};
        if (compression != COMPRESSION_NONE) {
                i->input = malloc(INPUT_SIZE);
                if (!i->input)
                        return -ENOMEM;
        }
        if (compression == COMPRESSION_GZIP) {
                r = gzip_init(i);
                if (r < 0)
                        return r;
        }
        if (compression == COMPRESSION_ZSTD) {
                i->zstd = ZSTD_createDCtx();
                if (!i->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax,
                                                                    ZSTD_WINDOW_LOG_MAX)))
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(i);
        return 0;
}

Inflate *inflate_free(Inflate *i) {
        if (!i)
                return NULL;
#if !HAVE_ISAL
        if (i->gzip)
                (void) inflateEnd(i->gzip);
#endif
        free(i->gzip);
        (void) ZSTD_freeDCtx(i->zstd);
        free(i->input);
        free(i);
        return NULL;
}

static int refill(Inflate *i, Error *e) {
        size_t n = 0;
        int r;

        if (i->position < i->end || i->source_ended)
                return 0;
        r = i->source(i->userdata, i->input, INPUT_SIZE, &n, e);
        if (r != 0)
                return r;
        i->position = 0;
        i->end = n;
        i->source_ended = n == 0;
        return 0;
}

int inflate_read(Inflate *i, void *buf, size_t size, size_t *ret_size, Error *e) {
        assert(i && buf && size > 0 && ret_size);

        if (i->compression == COMPRESSION_NONE)
                return i->source(i->userdata, buf, size, ret_size, e);

        for (;;) {
                bool ended = false;
                size_t n = 0;
                int r;

                r = refill(i, e);
                if (r != 0)
                        return r;
                if (i->source_ended && !i->in_member) {
                        if (!i->any_member)
                                return error_setf(e, CTR_DATA_LOSS, "the compressed data is empty");
                        *ret_size = 0;
                        return 0;
                }
                i->in_member = i->any_member = true;
                r = i->compression == COMPRESSION_GZIP ? gzip_step(i, buf, size, &n, &ended)
                                                       : zstd_step(i, buf, size, &n, &ended);
                if (r == -EFBIG)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "the zstd data can be decompressed only with more than "
                                          "%u MiB of memory",
                                          1U << (ZSTD_WINDOW_LOG_MAX - 20));
                if (r < 0)
                        return error_setf(e, CTR_DATA_LOSS, "the %s data is corrupt",
                                          i->compression == COMPRESSION_GZIP ? "gzip" : "zstd");
                if (ended) {
                        i->in_member = false;
                        if (i->compression == COMPRESSION_GZIP)
                                gzip_reset(i);
                }
                if (n > 0) {
                        *ret_size = n;
                        return 0;
                }
                if (i->source_ended && i->in_member)
                        return error_setf(e, CTR_DATA_LOSS, "the compressed data is truncated");
        }
}
