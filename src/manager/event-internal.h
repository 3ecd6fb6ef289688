/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the log of events (event.c), what it knows of processes (event-process.c), its queue
 * (event-queue.c), and what keeps that while the database cannot be written (event-spool.c). */

#include "manager/db.h"
#include "manager/manager.h"

/* A step that is not written yet. */
typedef struct Note Note;
struct Note {
        char *run;     /* whose step; a prefix if below is set; NULL: of none, always news */
        StepEdge edge; /* without details: all zero, the steps of run are to be forgotten */
        bool below;    /* those of everything below run, too */
        EventTopic topic;
        uint64_t time;
        char *namespace, *name;
        json_t *details;
        Note *next;
};

Note *note_free(Note *n);
DEFINE_CLEANUP(Note *, note_free);

/* Queues it; n is taken over. */
void event_log_append(EventLog *l, Note *n);

/* In an open transaction: writes one. */
int note_write(Database *db, const Note *n, Error *e);

/* event_log_collect() is to be called again when the database can be written. */
void event_log_collect_later(EventLog *l, bool later);

typedef struct Spool Spool;

/* event-queue.c; zeroed and loaded */
typedef struct NoteQueue {
        Note *first, *last;
        Note *unspooled; /* the first one that is not in the spool */
        size_t n;
        size_t n_lost; /* that there was no room for */
        Spool *spool;
        bool bare; /* the spool could not be written: who kills us now takes events with us */
} NoteQueue;

/* Begins with what a former manager has left in its spool. */
int note_queue_load(NoteQueue *q, const char *runtime_dir, Database *db, Error *e);
void note_queue_clear(NoteQueue *q);

/* n is taken over, and lost when there are too many. */
void note_queue_append(NoteQueue *q, Note *n);

/* One transaction of the first ones. On failure they stay. */
int note_queue_write(NoteQueue *q, Database *db, Error *e);

/* Whatever is queued is in the spool, or it was logged that it is not. */
void note_queue_spool(NoteQueue *q);

/* event-spool.c */

/* That of a runtime directory; nothing is read yet. */
int spool_new(const char *runtime_dir, Spool **ret, Error *e);
Spool *spool_free(Spool *s);
DEFINE_CLEANUP(Spool *, spool_free);

/* Calls f, which takes the note over, for each that a former manager left and that is not in the
 * database. Of a damaged spool a copy is set aside, and what was read of it stays. */
typedef void (*SpoolVisit)(Note *n, void *userdata);
int spool_load(Spool *s, Database *db, SpoolVisit f, void *userdata, Error *e);

/* How many notes are in it and not in the database: the first ones of the queue. */
size_t spool_left(const Spool *s);

/* Adds first and what follows it: all of them or none. 0, -EFBIG when it is as large as it may be,
 * or an error. */
int spool_append(Spool *s, const Note *first);

/* In an open transaction: the next n notes of the spool (those of spool_left()) are in it. */
int spool_take(const Spool *s, Database *db, size_t n, Error *e);

/* They were committed. The file goes with its last note, unless it is to be kept. */
void spool_taken(Spool *s, size_t n, bool keep);
