/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/id-pool.h"

#include <fcntl.h>

#include "basic/fs.h"

#define FILE_SIZE_MAX (16U << 20)
#define RANGES_MAX    (1U << 20) /* of one list: accounts, containers */

/* systemd's UIDS-GIDS: 524288 to 1879048191, in pieces of 64 Ki */
#define RESERVED_START 0x00080000U
#define RESERVED_END   0x70000000U
#define PIECE          0x00010000U

int id_ranges_add(IdRanges *l, uint64_t start, uint64_t size) {
        if (l->n >= RANGES_MAX)
                return -E2BIG;
        if (l->n >= l->allocated) {
                size_t n = l->allocated * 2 + 64;
                IdRange *grown = reallocarray(l->list, n, sizeof(IdRange));

                if (!grown)
                        return -ENOMEM;
                l->list = grown;
                l->allocated = n;
        }
        l->list[l->n++] = (IdRange){.start = start, .end = start + size};
        return 0;
}

static void ranges_clear(IdRanges *l) {
        free(l->list);
        *l = (IdRanges){};
}

void id_pool_clear(IdPool *p) {
        ranges_clear(&p->ranges);
        ranges_clear(&p->used);
}

/* A number up to 2^32 - 1 with nothing else after it. */
static bool parse_number(const char *s, uint64_t *ret) {
        char *end;

        if (*s < '0' || *s > '9')
                return false;
        errno = 0;
        *ret = strtoull(s, &end, 10);
        return errno == 0 && *end == '\0' && *ret <= UINT32_MAX;
}

/* What a line says: its fields are separated by ':'. */
typedef int (*LineReader)(char *const *fields, size_t n, const char *user, IdRanges *l);

#define FIELDS_MAX 4

static int read_line(char *line, LineReader read, const char *user, IdRanges *l) {
        char *fields[FIELDS_MAX];
        size_t n = 0;

        for (char *p = line; p && n < FIELDS_MAX; n++)
                fields[n] = strsep(&p, ":");
        return read(fields, n, user, l);
}

/* A file that is not there has no lines. */
static int read_file(int dir_fd, const char *name, LineReader read, const char *user, IdRanges *l,
                     Error *e) {
        _cleanup_free_ char *data = NULL;
        char *save = NULL;
        int r;

        r = file_read_at(dir_fd, name, FILE_SIZE_MAX, &data, NULL);
        if (r == -ENOENT)
                return 0;
        for (char *line = r < 0 ? NULL : strtok_r(data, "\n", &save); r >= 0 && line;
             line = strtok_r(NULL, "\n", &save))
                r = read_line(line, read, user, l);
        return r < 0 ? error_setf(e, r, "Failed to read %s: %m", name) : 0;
}

/* "name:start:count" of subuid(5); user NULL: of everybody. What is no such line is passed over, as
 * the tools that map do it. */
static int read_subordinate(char *const *fields, size_t n, const char *user, IdRanges *l) {
        uint64_t start, size;

        if (n != 3 || (user && !streq(fields[0], user)) || !parse_number(fields[1], &start) ||
            !parse_number(fields[2], &size) || size == 0 || size > UINT32_MAX - start)
                return 0;
        return id_ranges_add(l, start, size);
}

/* The number of an account or a group: passwd(5), group(5). */
static int read_account(char *const *fields, size_t n, const char *user, IdRanges *l) {
        uint64_t id;

        if (n < 3 || !parse_number(fields[2], &id) || id < RESERVED_START || id >= RESERVED_END)
                return 0;
        return id_ranges_add(l, id, 1);
}

/* nspawn has a lock file for each piece that it uses, which is named by its first id. */
static int read_nspawn(const char *path, IdRanges *l, Error *e) {
        _cleanup_closedir_ DIR *d = opendir(path);
        struct dirent *entry;
        uint64_t start;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 : error_setf(e, -errno, "Failed to open %s: %m", path);
        while (r == 0 && (entry = readdir(d)))
                if (parse_number(entry->d_name, &start))
                        r = id_ranges_add(l, start, PIECE);
        return r < 0 ? error_setf(e, r, "Failed to read %s: %m", path) : 0;
}

static int compare(const void *a, const void *b) {
        const IdRange *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorted, and what overlaps or touches is one: the lists of a file may be long. */
static void ranges_join(IdRanges *l) {
        size_t n = 0;

        if (l->n == 0)
                return;
        qsort(l->list, l->n, sizeof(IdRange), compare);
        for (size_t i = 1; i < l->n; i++) {
                IdRange *last = &l->list[n];

                if (l->list[i].start <= last->end)
                        last->end = MAX_OF(last->end, l->list[i].end);
                else
                        l->list[++n] = l->list[i];
        }
        l->n = n + 1;
}

/* What is in both. */
static int intersect(IdRanges *a, IdRanges *b, IdRanges *ret) {
        int r = 0;

        ranges_join(a);
        ranges_join(b);
        for (size_t i = 0, k = 0; r == 0 && i < a->n && k < b->n;) {
                const IdRange *x = &a->list[i], *y = &b->list[k];
                uint64_t start = MAX_OF(x->start, y->start), end = MIN_OF(x->end, y->end);

                if (start < end)
                        r = id_ranges_add(ret, start, end - start);
                if (x->end < y->end)
                        i++;
                else
                        k++;
        }
        return r;
}

/* 1: the user has ids, 0: it is in neither file. */
static int load_subordinate(int etc_fd, const char *user, IdPool *p, Error *e) {
        _cleanup_(ranges_clear) IdRanges uids = {}, gids = {};
        int r;

        r = read_file(etc_fd, "subuid", read_subordinate, user, &uids, e);
        if (r == 0)
                r = read_file(etc_fd, "subgid", read_subordinate, user, &gids, e);
        if (r != 0 || (uids.n == 0 && gids.n == 0))
                return r;
        r = intersect(&uids, &gids, &p->ranges);
        if (r < 0)
                return r;
        if (p->ranges.n == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The user \"%s\" has no id in both /etc/subuid and /etc/subgid",
                                  user);
        p->alignment = 1;
        p->description = "those in /etc/subuid and /etc/subgid";
        return 1;
}

static int load_reserved(const IdPoolSource *source, int etc_fd, IdPool *p, Error *e) {
        static const struct {
                const char *name;
                LineReader read;
        } files[] = {
                        {"subuid", read_subordinate},
                        {"subgid", read_subordinate},
                        {"passwd", read_account},
                        {"group", read_account},
        };
        int r;

        p->alignment = PIECE;
        p->spread = true;
        p->description = "those that systemd reserves for containers";
        r = id_ranges_add(&p->ranges, RESERVED_START, RESERVED_END - RESERVED_START);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(files); i++)
                r = read_file(etc_fd, files[i].name, files[i].read, NULL, &p->used, e);
        return r == 0 ? read_nspawn(source->nspawn_dir ?: ID_POOL_NSPAWN_DIR, &p->used, e) : r;
}

int id_pool_load(const IdPoolSource *source, IdPool *ret, Error *e) {
        const char *user = source->user ?: ID_POOL_USER, *etc = source->etc_dir ?: "/etc";
        _cleanup_(id_pool_clear) IdPool p = {};
        _cleanup_close_ int etc_fd = -1;
        int r;

        etc_fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (etc_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", etc);
        r = isempty(user) ? 0 : load_subordinate(etc_fd, user, &p, e);
        if (r == 0 && source->user && *user)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The user \"%s\" has no ids in /etc/subuid and /etc/subgid",
                                  user);
        if (r == 0)
                r = load_reserved(source, etc_fd, &p, e);
        else if (p.ranges.n > 0)
                r = 0;
        if (r != 0)
                return r;
        *ret = p;
        p = (IdPool){};
        return 0;
}

/* The first gap in a range from a number on; used is sorted by start. */
static bool find_gap(const IdPool *p, const IdRange *range, uint64_t from, uint64_t size,
                     uint64_t *ret) {
        uint64_t a = p->alignment, start = (MAX_OF(range->start, from) + a - 1) / a * a;

        for (size_t i = 0; i < p->used.n && p->used.list[i].start < start + size; i++)
                if (p->used.list[i].end > start)
                        start = (p->used.list[i].end + a - 1) / a * a;
        if (start + size > range->end)
                return false;
        *ret = start;
        return true;
}

/* FNV-1a */
static uint64_t hash_string(uint64_t hash, const char *s) {
        do
                hash = (hash ^ (uint8_t) *s) * UINT64_C(0x100000001b3);
        while (*s++);
        return hash;
}

static uint64_t preferred(const IdPool *p, const char *namespace, const char *id) {
        const IdRange *range = &p->ranges.list[0];
        uint64_t hash = hash_string(hash_string(UINT64_C(0xcbf29ce484222325), namespace), id);

        return range->start + hash % ((range->end - range->start) / p->alignment) * p->alignment;
}

bool id_pool_choose(IdPool *p, uint32_t size, const char *namespace, const char *id,
                    uint32_t *ret_start) {
        uint64_t from[2] = {p->spread ? preferred(p, namespace, id) : 0, 0}, start;

        if (p->used.n > 0)
                qsort(p->used.list, p->used.n, sizeof(IdRange), compare);
        for (size_t k = p->spread ? 0 : 1; k < ELEMENTSOF(from); k++)
                for (size_t i = 0; i < p->ranges.n; i++)
                        if (find_gap(p, &p->ranges.list[i], from[k], size, &start)) {
                                *ret_start = (uint32_t) start;
                                return true;
                        }
        return false;
}
