/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Steps that the database did not take, because its disk is full or read-only, in a file of the
 * runtime directory: a line that names the spool, then one for each note, in their order. A manager
 * that is killed finds them there before it looks at anything else.
 *
 * Invariant: a note of the spool is written to the database once. The transaction that writes notes
 * also writes how many of this spool have been written by now; so a manager that is killed between
 * its commit and the removal of the file does not write them again. A line without its end was
 * never relied on, and is cut off. A damaged line is cut off with what follows it, when a copy of
 * all of it has been set aside.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/event-internal.h"

#define SPOOL_NAME    "events.spool"
#define SPOOL_DAMAGED SPOOL_NAME ".damaged"
#define SPOOL_MAX     (16U * 1024 * 1024)
#define ID_SIZE       33

struct Spool {
        int dir_fd;
        int fd; /* -1: there is none */
        char id[ID_SIZE];
        size_t size;
        size_t n_notes, n_taken; /* in the file, and of these in the database */
};

int spool_new(const char *runtime_dir, Spool **ret, Error *e) {
        _cleanup_(spool_freep) Spool *s = NULL;

        s = calloc(1, sizeof(Spool));
        if (!s)
                return -ENOMEM;
        s->fd = -1;
        s->dir_fd = open(runtime_dir, O_DIRECTORY | O_CLOEXEC);
        if (s->dir_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", runtime_dir);
        *ret = TAKE_PTR(s);
        return 0;
}

Spool *spool_free(Spool *s) {
        if (!s)
                return NULL;
        fd_close(s->dir_fd);
        fd_close(s->fd);
        free(s);
        return NULL;
}

size_t spool_left(const Spool *s) {
        return s->n_notes - s->n_taken;
}

/* --- one note as a line --- */

static json_t *note_to_json(const Note *n) {
        const StepEdge *g = &n->edge;

        return json_pack("{ss? s[iiii] sb ss sI ss? ss? sO?}", "run", n->run, "edge", (int) g->set,
                         (int) g->clear, (int) g->required, (int) g->excluded, "below",
                         (int) n->below, "topic", event_topic_to_string(n->topic), "time",
                         (json_int_t) n->time, "namespace", n->namespace, "name", n->name,
                         "details", n->details);
}

static int copy_string(json_t *j, const char *key, char **ret) {
        const char *s = json_string_value(json_object_get(j, key));

        *ret = s ? strdup(s) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

static unsigned edge_part(json_t *j, size_t i) {
        return (unsigned) json_integer_value(json_array_get(json_object_get(j, "edge"), i));
}

static int note_from_json(json_t *j, Note **ret) {
        _cleanup_(note_freep) Note *n = NULL;
        json_t *details = json_object_get(j, "details");

        n = calloc(1, sizeof(Note));
        if (!n)
                return -ENOMEM;
        n->edge = (StepEdge){edge_part(j, 0), edge_part(j, 1), edge_part(j, 2), edge_part(j, 3)};
        n->below = json_is_true(json_object_get(j, "below"));
        n->time = (uint64_t) json_integer_value(json_object_get(j, "time"));
        n->topic = event_topic_from_string(
                        strempty(json_string_value(json_object_get(j, "topic"))));
        if (copy_string(j, "run", &n->run) < 0 || copy_string(j, "namespace", &n->namespace) < 0 ||
            copy_string(j, "name", &n->name) < 0)
                return -ENOMEM;
        if (json_is_object(details))
                n->details = json_incref(details);
        /* what forgets needs a run, what tells needs all but that */
        if (n->details ? n->topic == _EVENT_TOPIC_MAX || !n->namespace || !n->name || n->time == 0
                       : !n->run || (n->below && !strchr(n->run, '/')))
                return -EBADMSG;
        *ret = TAKE_PTR(n);
        return 0;
}

/* --- the file --- */

static void spool_forget(Spool *s) {
        s->fd = fd_close(s->fd);
        s->size = s->n_notes = s->n_taken = 0;
}

/* Without it the next manager finds what was written already, and knows that. */
static void spool_remove(Spool *s) {
        if (unlinkat(s->dir_fd, SPOOL_NAME, 0) < 0 && errno != ENOENT)
                log_warning_errno(errno, "Failed to remove the spool of events: %m");
        spool_forget(s);
}

static int write_at_end(Spool *s, const char *data, size_t size) {
        int r;

        if (s->size + size > SPOOL_MAX)
                return -EFBIG;
        r = fd_write_all(s->fd, data, size);
        if (r < 0) {
                /* a part of it may be there */
                if (ftruncate(s->fd, (off_t) s->size) < 0)
                        log_warning_errno(errno, "Failed to cut the spool of events: %m");
                return r;
        }
        s->size += size;
        return 0;
}

/* A new one, under a new name: what an older file of that name held is in the database. */
static int spool_make(Spool *s) {
        char line[ID_SIZE + STRLEN("{\"spool\":\"\"}\n")];
        uint64_t bits[2];
        int n, r;

        if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
                return -EIO;
        (void) snprintf(s->id, sizeof(s->id), "%016" PRIx64 "%016" PRIx64, bits[0], bits[1]);
        s->fd = openat(s->dir_fd, SPOOL_NAME,
                       O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->fd < 0)
                return -errno;
        n = snprintf(line, sizeof(line), "{\"spool\":\"%s\"}\n", s->id);
        r = write_at_end(s, line, (size_t) n);
        if (r < 0)
                spool_remove(s);
        return r;
}

static int notes_to_text(const Note *first, char **ret, size_t *ret_size, size_t *ret_n) {
        _cleanup_free_ char *data = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t size, n_notes = 0;

        f = open_memstream(&data, &size);
        if (!f)
                return -ENOMEM;
        for (const Note *n = first; n; n = n->next, n_notes++) {
                _cleanup_json_ json_t *j = note_to_json(n);
                _cleanup_free_ char *text = NULL;

                if (!j || json_to_text(j, &text) < 0 || fputs(text, f) == EOF ||
                    fputc('\n', f) == EOF)
                        return -ENOMEM;
        }
        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(data);
        *ret_size = size;
        *ret_n = n_notes;
        return 0;
}

int spool_append(Spool *s, const Note *first) {
        _cleanup_free_ char *data = NULL;
        size_t size, n;
        int r;

        r = notes_to_text(first, &data, &size, &n);
        if (r == 0 && s->fd < 0)
                r = spool_make(s);
        if (r == 0)
                r = write_at_end(s, data, size);
        if (r == 0)
                s->n_notes += n;
        return r;
}

int spool_take(const Spool *s, Database *db, size_t n, Error *e) {
        return n > 0 ? db_spool_take(db, s->id, s->n_taken + n, e) : 0;
}

void spool_taken(Spool *s, size_t n, bool keep) {
        s->n_taken += n;
        if (s->fd >= 0 && s->n_taken == s->n_notes && !keep)
                spool_remove(s);
}

/* --- what a former manager has left --- */

static int read_line(const char *line, size_t size, json_t **ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = json_parse(line, size, SPOOL_NAME, ret, &e);
        return r > 0 ? -EBADMSG : r;
}

static int read_id(Spool *s, const char *line, size_t size) {
        _cleanup_json_ json_t *j = NULL;
        const char *id;
        int r;

        r = read_line(line, size, &j);
        if (r < 0)
                return r;
        id = json_string_value(json_object_get(j, "spool"));
        if (!id || strlen(id) >= sizeof(s->id))
                return -EBADMSG;
        (void) snprintf(s->id, sizeof(s->id), "%s", id);
        return 0;
}

static int read_note(const char *line, size_t size, SpoolVisit f, void *userdata) {
        _cleanup_json_ json_t *j = NULL;
        Note *n;
        int r;

        r = read_line(line, size, &j);
        if (r == 0)
                r = note_from_json(j, &n);
        if (r == 0)
                f(n, userdata);
        return r;
}

/* The next line with an end: the first one names the spool, the others are notes. */
static int read_next(Spool *s, Database *db, const char *line, size_t size, uint64_t *taken,
                     SpoolVisit f, void *userdata, Error *e) {
        int r;

        if (s->size == 0) {
                r = read_id(s, line, size);
                return r == 0 ? db_spool_taken(db, s->id, taken, e) : r;
        }
        if (s->n_taken < *taken)
                s->n_taken++;
        else {
                r = read_note(line, size, f, userdata);
                if (r != 0)
                        return r;
        }
        s->n_notes++;
        return 0;
}

/* The lines that have an end; s->size is the end of the last one that was read. */
static int read_lines(Spool *s, Database *db, const char *data, size_t size, SpoolVisit f,
                      void *userdata, Error *e) {
        const char *p = data, *end;
        uint64_t taken = 0;
        int r;

        for (; (end = memchr(p, '\n', size - (size_t) (p - data))); p = end + 1) {
                r = read_next(s, db, p, (size_t) (end - p), &taken, f, userdata, e);
                if (r != 0)
                        return r;
                s->size = (size_t) (end + 1 - data);
        }
        return 0;
}

/* A copy, so that a manager that is killed now finds again what could be read. */
static void set_aside(Spool *s, const char *data, size_t size) {
        int r;

        log_error("The spool of events is damaged from its byte %zu on, and was set aside as %s",
                  s->size, SPOOL_DAMAGED);
        r = file_write_atomic_at(s->dir_fd, SPOOL_DAMAGED, data, size, 0600, FILE_WRITE_SYNC);
        if (r < 0)
                log_warning_errno(r, "Failed to write %s: %m", SPOOL_DAMAGED);
}

/* One that cannot be read at all. */
static void move_aside(Spool *s, int r) {
        log_error_errno(r, "The spool of events cannot be read and was set aside as %s: %m",
                        SPOOL_DAMAGED);
        if (renameat(s->dir_fd, SPOOL_NAME, s->dir_fd, SPOOL_DAMAGED) < 0)
                log_warning_errno(errno, "Failed to rename %s: %m", SPOOL_NAME);
}

int spool_load(Spool *s, Database *db, SpoolVisit f, void *userdata, Error *e) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = file_read_at(s->dir_fd, SPOOL_NAME, SPOOL_MAX, &data, &size);
        if (r == -ENOENT)
                return 0;
        if (r == -EFBIG || r == -EBADF || r == -EISDIR) {
                move_aside(s, r);
                return 0;
        }
        if (r == 0)
                r = read_lines(s, db, data, size, f, userdata, e);
        if (r == -EBADMSG) {
                set_aside(s, data, size);
                r = 0;
        }
        if (r != 0)
                return error_setf(e, r, "Failed to read the spool of events: %m");
        if (spool_left(s) == 0) {
                spool_remove(s);
                return 0;
        }
        s->fd = openat(s->dir_fd, SPOOL_NAME, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (s->fd < 0 || ftruncate(s->fd, (off_t) s->size) < 0)
                return error_setf(e, -errno, "Failed to open the spool of events: %m");
        log_info("%zu events that could not be written before are in the spool", spool_left(s));
        return 0;
}
