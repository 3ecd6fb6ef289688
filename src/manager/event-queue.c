/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Steps that are noted and not written yet, in their order. What is in the spool, too, is the
 * beginning of the queue.
 */

#include "basic/log.h"
#include "manager/event-internal.h"

#define QUEUE_MAX 16384U
#define BATCH     1024U /* in one transaction */

Note *note_free(Note *n) {
        if (!n)
                return NULL;
        free(n->run);
        free(n->namespace);
        free(n->name);
        json_decref(n->details);
        free(n);
        return NULL;
}

static void add_note(Note *n, void *userdata) {
        NoteQueue *q = userdata;

        if (q->last)
                q->last->next = n;
        else
                q->first = n;
        q->last = n;
        q->n++;
}

void note_queue_append(NoteQueue *q, Note *n) {
        if (q->n >= QUEUE_MAX) {
                if (q->n_lost++ == 0)
                        log_error("Events are lost from now on, the first one is %s of %s: %zu "
                                  "others cannot be written",
                                  event_topic_to_string(n->topic), strempty(n->name), q->n);
                note_free(n);
                return;
        }
        add_note(n, q);
        q->unspooled = q->unspooled ?: n;
}

static void drop(NoteQueue *q, size_t n) {
        for (; n > 0; n--) {
                Note *note = q->first;

                q->first = note->next;
                if (q->unspooled == note)
                        q->unspooled = note->next;
                q->n--;
                note_free(note);
        }
        if (!q->first)
                q->last = NULL;
}

void note_queue_clear(NoteQueue *q) {
        drop(q, q->n);
        q->spool = spool_free(q->spool);
}

static int write_batch(NoteQueue *q, Database *db, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        size_t n = 0, spooled;
        int r;

        r = db_begin_unsynced(db, e);
        if (r != 0)
                return r;
        transaction = db;
        for (const Note *note = q->first; note && n < BATCH; note = note->next, n++) {
                r = note_write(db, note, e);
                if (r != 0)
                        return r;
        }
        spooled = MIN_OF(n, spool_left(q->spool));
        r = spool_take(q->spool, db, spooled, e);
        if (r == 0)
                r = db_commit(db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        spool_taken(q->spool, spooled, db_is_readonly(db));
        drop(q, n);
        return 0;
}

int note_queue_write(NoteQueue *q, Database *db, Error *e) {
        int r;

        if (!q->first)
                return 0;
        /* its tables are gone with this manager */
        if (db_is_readonly(db))
                note_queue_spool(q);
        r = write_batch(q, db, e);
        if (r == 0 && !q->first && q->n_lost > 0) {
                log_error("%zu events were lost while nothing could be written", q->n_lost);
                q->n_lost = 0;
        }
        return r;
}

void note_queue_spool(NoteQueue *q) {
        int r;

        if (!q->unspooled)
                return;
        r = spool_append(q->spool, q->unspooled);
        if (r == 0)
                q->unspooled = NULL;
        else if (!q->bare)
                log_error_errno(r, "Events are in memory only, and lost if the manager is killed; "
                                   "the spool of events cannot be written: %m");
        q->bare = r != 0;
}

int note_queue_load(NoteQueue *q, const char *runtime_dir, Database *db, Error *e) {
        int r;

        r = spool_new(runtime_dir, &q->spool, e);
        if (r == 0)
                r = spool_load(q->spool, db, add_note, q, e);
        /* one that was damaged does not hold them any more */
        if (r == 0 && spool_left(q->spool) == 0)
                q->unspooled = q->first;
        return r;
}
