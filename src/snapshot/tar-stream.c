/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/tar-stream.h"

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "basic/utf8.h"

#define BLOCK_SIZE  512U
#define BUFFER_SIZE (128U * 1024)
/* what the octal fields can hold */
#define ID_MAX         UINT64_C(07777777)
#define SIZE_MAX_USTAR UINT64_C(077777777777)

/* The header of POSIX.1-1988: numbers in octal digits, strings up to their end or a NUL. */
typedef struct Header {
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
        char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
        char prefix[155], padding[12];
} Header;
static_assert(sizeof(Header) == BLOCK_SIZE, "a header is one block");

struct TarStream {
        TarSink sink;
        void *userdata;
        uint64_t left;    /* data that the entry still has to get */
        unsigned padding; /* that follows it */
        char *records;    /* of the next entry */
        size_t n_records, allocated_records;
        size_t n_buffer;
        char buffer[BUFFER_SIZE];
};

int tar_stream_new(TarSink sink, void *userdata, TarStream **ret) {
        TarStream *t;

        assert(sink && ret);

        t = calloc(1, sizeof(TarStream));
        if (!t)
                return -ENOMEM;
        t->sink = sink;
        t->userdata = userdata;
        *ret = t;
        return 0;
}

TarStream *tar_stream_free(TarStream *t) {
        if (!t)
                return NULL;
        free(t->records);
        free(t);
        return NULL;
}

static int flush(TarStream *t, Error *e) {
        size_t n = t->n_buffer;

        t->n_buffer = 0;
        return n > 0 ? t->sink(t->userdata, t->buffer, n, e) : 0;
}

static int put(TarStream *t, const void *data, size_t size, Error *e) {
        const char *p = data;
        int r;

        while (size > 0) {
                size_t n = MIN_OF(size, BUFFER_SIZE - t->n_buffer);

                memcpy(t->buffer + t->n_buffer, p, n);
                t->n_buffer += n;
                p += n;
                size -= n;
                if (t->n_buffer == BUFFER_SIZE) {
                        r = flush(t, e);
                        if (r != 0)
                                return r;
                }
        }
        return 0;
}

static int put_zeros(TarStream *t, size_t size, Error *e) {
        static const char zeros[2 * BLOCK_SIZE];

        assert(size <= sizeof(zeros));
        return put(t, zeros, size, e);
}

static unsigned padding_of(uint64_t size) {
        return (unsigned) ((BLOCK_SIZE - size % BLOCK_SIZE) % BLOCK_SIZE);
}

static int reserve(TarStream *t, size_t size) {
        size_t allocated = MAX_OF(t->n_records + size, 2 * t->allocated_records);
        char *larger;

        if (t->n_records + size <= t->allocated_records)
                return 0;
        larger = realloc(t->records, allocated);
        if (!larger)
                return -ENOMEM;
        t->records = larger;
        t->allocated_records = allocated;
        return 0;
}

/* "LENGTH PREFIXNAME=VALUE\n", where the length counts its own digits, too. */
static int add_record(TarStream *t, const char *prefix, const char *name, const void *value,
                      size_t size) {
        size_t rest = strlen(prefix) + strlen(name) + size + 3, length = rest + 1;
        int n;

        while (length != rest + (size_t) snprintf(NULL, 0, "%zu", length))
                length++;
        if (reserve(t, length + 1) < 0)
                return -ENOMEM;
        n = sprintf(t->records + t->n_records, "%zu %s%s=", length, prefix, name);
        memcpy(t->records + t->n_records + n, value, size);
        t->records[t->n_records + length - 1] = '\n';
        t->n_records += length;
        return 0;
}

static int add_text(TarStream *t, const char *name, const char *value) {
        return add_record(t, "", name, value, strlen(value));
}

static int add_number(TarStream *t, const char *name, uint64_t value) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        return add_text(t, name, text);
}

int tar_stream_xattr(TarStream *t, const char *name, const void *value, size_t size, Error *e) {
        if (strchr(name, '='))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The name of the attribute %.64s cannot be written to an archive",
                                  name);
        return add_record(t, "SCHILY.xattr.", name, value, size);
}

static void set_octal(char *field, size_t size, uint64_t value) {
        char digits[24];

        (void) snprintf(digits, sizeof(digits), "%0*" PRIo64, (int) size - 1, value);
        memcpy(field, digits, size - 1);
}

/* A number, in a record of its own if the field is too small for it. */
static int set_number(TarStream *t, char *field, size_t size, const char *name, uint64_t value,
                      uint64_t max) {
        if (value <= max)
                set_octal(field, size, value);
        else
                set_octal(field, size, 0);
        return value <= max ? 0 : add_number(t, name, value);
}

/* Seconds with a fraction, as far as it has digits; before 1970 both count downwards. */
static int set_time(TarStream *t, Header *h, const struct timespec *time) {
        bool negative = time->tv_sec < 0;
        uint64_t sec = negative ? (uint64_t) - (time->tv_sec + (time->tv_nsec > 0))
                                : (uint64_t) time->tv_sec;
        long nsec = negative && time->tv_nsec > 0 ? 1000000000L - time->tv_nsec : time->tv_nsec;
        char text[48];
        size_t n;

        set_octal(h->mtime, sizeof(h->mtime), negative || sec > SIZE_MAX_USTAR ? 0 : sec);
        if (!negative && sec <= SIZE_MAX_USTAR && nsec == 0)
                return 0;
        n = (size_t) snprintf(text, sizeof(text), "%s%" PRIu64 ".%09li", negative ? "-" : "", sec,
                              nsec);
        while (text[n - 1] == '0')
                text[--n] = '\0';
        if (text[n - 1] == '.')
                text[--n] = '\0';
        return add_text(t, "mtime", text);
}

/* A name that is no UTF-8 is written as it is, and the reader is told so. */
static int set_name(TarStream *t, char *field, size_t size, const char *record, const char *name) {
        size_t n = strlen(name);
        int r = 0;

        memcpy(field, name, MIN_OF(n, size));
        if (n <= size)
                return 0;
        if (!utf8_is_valid(name))
                r = add_text(t, "hdrcharset", "BINARY");
        return r < 0 ? r : add_text(t, record, name);
}

static char type_of(const TarEntry *entry) {
        if (entry->link && entry->hard)
                return '1';
        switch (entry->st->st_mode & S_IFMT) {
        case S_IFLNK:
                return '2';
        case S_IFCHR:
                return '3';
        case S_IFBLK:
                return '4';
        case S_IFDIR:
                return '5';
        case S_IFIFO:
                return '6';
        default:
                return '0';
        }
}

static int put_header(TarStream *t, Header *h, Error *e) {
        const unsigned char *bytes = (const unsigned char *) h;
        unsigned sum = 0;

        memcpy(h->magic, "ustar", sizeof(h->magic));
        memcpy(h->version, "00", sizeof(h->version));
        memset(h->checksum, ' ', sizeof(h->checksum));
        for (size_t i = 0; i < sizeof(Header); i++)
                sum += bytes[i];
        set_octal(h->checksum, sizeof(h->checksum) - 1, sum);
        h->checksum[6] = '\0';
        return put(t, h, sizeof(Header), e);
}

/* The records come as an entry of their own, before the one that they are about. */
static int put_records(TarStream *t, Error *e) {
        Header h = {.name = "PaxHeader", .type = 'x'};
        int r;

        if (t->n_records == 0)
                return 0;
        set_octal(h.mode, sizeof(h.mode), 0644);
        set_octal(h.uid, sizeof(h.uid), 0);
        set_octal(h.gid, sizeof(h.gid), 0);
        set_octal(h.size, sizeof(h.size), t->n_records);
        set_octal(h.mtime, sizeof(h.mtime), 0);
        r = put_header(t, &h, e);
        if (r == 0)
                r = put(t, t->records, t->n_records, e);
        if (r == 0)
                r = put_zeros(t, padding_of(t->n_records), e);
        t->n_records = 0;
        return r;
}

/* The map of a sparse file, which comes before its data (GNU tar's format 1.0): numbers as lines.
 */
static int make_map(const TarEntry *entry, char **ret, size_t *ret_size, uint64_t *ret_data) {
        size_t lines = 24 * (2 * entry->n_extents + 3), n;
        char *map = calloc(1, lines + BLOCK_SIZE);

        if (!map)
                return -ENOMEM;
        *ret_data = 0;
        /* a hole at the end is told by an empty extent there */
        n = (size_t) sprintf(map, "%zu\n", entry->n_extents + 1);
        for (size_t i = 0; i < entry->n_extents; i++) {
                n += (size_t) sprintf(map + n, "%" PRIu64 "\n%" PRIu64 "\n",
                                      entry->extents[i].offset, entry->extents[i].size);
                *ret_data += entry->extents[i].size;
        }
        n += (size_t) sprintf(map + n, "%" PRIu64 "\n0\n", entry->size);
        *ret = map;
        *ret_size = n + padding_of(n);
        return 0;
}

static int add_sparse_records(TarStream *t, const TarEntry *entry) {
        int r;

        r = add_text(t, "GNU.sparse.major", "1");
        if (r == 0)
                r = add_text(t, "GNU.sparse.minor", "0");
        if (r == 0)
                r = add_text(t, "GNU.sparse.name", entry->path);
        if (r == 0)
                r = add_number(t, "GNU.sparse.realsize", entry->size);
        return r;
}

static int fill_header(TarStream *t, Header *h, const TarEntry *entry, uint64_t size) {
        const struct stat *st = entry->st;
        _cleanup_free_ char *directory = NULL;
        const char *path = entry->path;
        int r;

        h->type = type_of(entry);
        if (h->type == '5') {
                if (asprintf(&directory, "%s/", path) < 0) {
                        directory = NULL;
                        return -ENOMEM;
                }
                path = directory;
        }
        r = entry->extents ? add_sparse_records(t, entry) : 0;
        if (r == 0)
                r = set_name(t, h->name, sizeof(h->name), "path", path);
        if (r == 0 && entry->link)
                r = set_name(t, h->link, sizeof(h->link), "linkpath", entry->link);
        set_octal(h->mode, sizeof(h->mode), st->st_mode & 07777);
        if (r == 0)
                r = set_number(t, h->uid, sizeof(h->uid), "uid", st->st_uid, ID_MAX);
        if (r == 0)
                r = set_number(t, h->gid, sizeof(h->gid), "gid", st->st_gid, ID_MAX);
        if (r == 0)
                r = set_number(t, h->size, sizeof(h->size), "size", size, SIZE_MAX_USTAR);
        if (r == 0)
                r = set_time(t, h, &st->st_mtim);
        if (h->type == '3' || h->type == '4') {
                set_octal(h->major, sizeof(h->major), major(st->st_rdev));
                set_octal(h->minor, sizeof(h->minor), minor(st->st_rdev));
        }
        return r;
}

int tar_stream_entry(TarStream *t, const TarEntry *entry, Error *e) {
        _cleanup_free_ char *map = NULL;
        uint64_t data = entry->size;
        size_t map_size = 0;
        Header h = {};
        int r;

        assert(t->left == 0 && entry->path && entry->st && entry->n_extents <= TAR_EXTENTS_MAX);

        r = put_zeros(t, t->padding, e);
        t->padding = 0;
        if (r == 0 && entry->extents)
                r = make_map(entry, &map, &map_size, &data);
        if (r == 0)
                r = fill_header(t, &h, entry, data + map_size);
        if (r == 0)
                r = put_records(t, e);
        if (r == 0)
                r = put_header(t, &h, e);
        if (r == 0 && map)
                r = put(t, map, map_size, e);
        t->left = data;
        t->padding = padding_of(data);
        return r;
}

int tar_stream_data(TarStream *t, const void *data, size_t size, Error *e) {
        assert(size <= t->left);

        t->left -= size;
        return put(t, data, size, e);
}

int tar_stream_finish(TarStream *t, Error *e) {
        int r;

        assert(t->left == 0);

        r = put_zeros(t, t->padding, e);
        if (r == 0)
                r = put_zeros(t, (size_t) 2 * BLOCK_SIZE, e);
        return r == 0 ? flush(t, e) : r;
}
