/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the log of events (event.c) and what it knows of processes (event-process.c). */

#include "manager/db.h"
#include "manager/manager.h"

/* A step that is not written yet. */
typedef struct Note Note;
struct Note {
        char *run;     /* whose step; a prefix if below is set */
        StepEdge edge; /* all zero: the steps of run are to be forgotten */
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
