/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Events: what happened, in the order in which it happened, with a sequence number that only grows
 * (A4.1, A4.2, D11). They are rows of the database; src/bus/ is told about each one after it was
 * committed, and asks for older ones.
 *
 * What happens to rows (containers, images ...) is recorded by the database in the transaction that
 * changes them, whoever does it: there is nothing to be called. What happens to processes is known
 * outside of the database; their steps are noted by event_reached(), written once per turn of the
 * event loop (while the database does not take them, to a spool in the runtime directory), and
 * written again by the next manager if this one is killed before: which steps a
 * process has published is kept in the same database, so that recovery may simply say again every
 * step that it finds to have been reached.
 *
 * Invariant: each step of a process is published at most once, after the steps before it; nothing
 * of a process is published after its deletion; and no exit without a start.
 */

#include <jansson.h>

#include "manager/manager.h"
#include "manager/process.h"
#include "manager/task.h"

typedef enum EventTopic {
        EVENT_TASK_CREATE, /* the first ones are steps of processes */
        EVENT_TASK_EXEC_ADDED,
        EVENT_TASK_START,
        EVENT_TASK_EXEC_STARTED,
        EVENT_TASK_PAUSED,
        EVENT_TASK_RESUMED,
        EVENT_TASK_OOM,
        EVENT_TASK_EXIT,
        EVENT_TASK_DELETE,
        EVENT_TASK_CHECKPOINTED,
        EVENT_CONTAINER_CREATE,
        EVENT_CONTAINER_UPDATE,
        EVENT_CONTAINER_DELETE,
        EVENT_IMAGE_CREATE,
        EVENT_IMAGE_UPDATE,
        EVENT_IMAGE_DELETE,
        EVENT_SNAPSHOT_PREPARE,
        EVENT_SNAPSHOT_COMMIT,
        EVENT_SNAPSHOT_REMOVE,
        EVENT_CONTENT_CREATE,
        EVENT_CONTENT_DELETE,
        EVENT_NAMESPACE_CREATE,
        EVENT_NAMESPACE_UPDATE,
        EVENT_NAMESPACE_DELETE,
        _EVENT_TOPIC_MAX,
} EventTopic;

/* "/tasks/create" ...; "/tasks/?" for what is none. */
const char *event_topic_to_string(EventTopic topic) _const_;

/* _EVENT_TOPIC_MAX for what is none. */
EventTopic event_topic_from_string(const char *name) _pure_;

struct Event {
        uint64_t sequence; /* from 1; gaps are possible */
        uint64_t time;     /* when it happened */
        EventTopic topic;
        const char *namespace; /* "" for content, which has none */
        const char *name;      /* of the thing: container, image, snapshot's key, digest ... */
        json_t *details;       /* keys and values as in dbus/org.example.Ctr.xml */
        size_t details_size;   /* of their text, when it was read */
};

/* p has reached a step: EVENT_TASK_CREATE, _START, _PAUSED, _RESUMED, _OOM, _EXIT for the init of a
 * task, EVENT_TASK_EXEC_ADDED, _EXEC_STARTED, _EXIT for an exec; to be called whenever that is
 * seen, by recovery too, any number of times. The details are taken from p now: for an exit the
 * exit fields must be set, for a start the pid. The steps before it are published first if they
 * have not been; _EXIT of a process whose program never ran (process.ran) does nothing. Publishing
 * happens later in this turn of the loop and never fails the caller. */
void event_reached(Process *p, EventTopic step);

/* The task is about to be deleted: publishes what is left, EVENT_TASK_DELETE last, and returns when
 * a killed manager cannot lose it any more. To be called before its directory is removed. Not for
 * a creation that failed. */
void event_task_deleted(Task *t);

/* Writes what was noted by now, to the spool if the database does not take it, before the record of
 * p that tells it is removed: a killed manager cannot lose it any more. If neither takes it, that
 * is logged, and it stays queued. */
void event_settle(const Process *p);

/* p is not there any more, and how it ended is not known: publishes EVENT_TASK_EXIT if its start
 * was told and its end was not, then event_forget(). */
void event_vanished(Process *p);

/* p, its documents and records are gone: its id may be used again. After the removal of the task's
 * directory or of the exec's document; that of a task is that of its execs, too. */
void event_forget(Process *p);

/* A checkpoint was written. checkpoint: its directory or the name of its image. */
void event_checkpointed(Task *t, const char *checkpoint);

typedef struct EventQuery {
        const char *namespace; /* NULL: all */
        uint64_t after;        /* only those with a larger sequence number */
        uint64_t upto;         /* and at most this one; 0: any */
        uint64_t since, until; /* both included */
} EventQuery;

/* Calls f for each event of the history that matches, in order, until it returns other than 0:
 * negative fails, positive ends it. *e is valid during the call. */
int event_foreach(Manager *m, const EventQuery *query, int (*f)(const Event *e, void *userdata),
                  void *userdata, Error *e);

/* The sequence number of the nth event after a number, or of the last one if there are fewer; 0 if
 * there is none. For those who look at a long history in pieces. */
int event_nth(Manager *m, uint64_t after, unsigned n, uint64_t *ret, Error *e);

/* The last sequence number of the history. */
int event_last(Manager *m, uint64_t *ret, Error *e);

/* The log of a manager, opened with its database. Nobody is told about events before
 * event_log_release(), which is called when there is somebody to tell: then about every event since
 * event_log_new(). */
int event_log_new(Manager *m, EventLog **ret, Error *e);
EventLog *event_log_free(EventLog *l);
DEFINE_CLEANUP(EventLog *, event_log_free);
void event_log_release(Manager *m);

/* After recovery: forgets what was kept of processes that are not there any more. After a failure
 * it is tried again when the log can be written. */
int event_log_collect(Manager *m, Error *e);

/* What is queued is in the database, or in the spool, when it returns; or it was logged why not. */
void event_log_settle(EventLog *l);

/* Something is not written yet. */
bool event_log_is_busy(const EventLog *l) _pure_;

/* Writes what is queued to the database, now. 0, or an error after which it stays queued. */
int event_flush(Manager *m, Error *e);
