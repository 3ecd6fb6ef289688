/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The log of events: what is queued, written, told and forgotten.
 *
 * Rows record their events in their own transactions (db-schema.c). The steps of processes are
 * queued, and one transaction per turn of the loop writes them, after everything that somebody
 * waits for; nothing waits for the disk, as a killed manager needs only what the kernel has been
 * given, and after a power loss there are no processes left to tell about. The log then reads back
 * what was committed and tells about it: what was rolled back is never heard of, and the order is
 * that of the numbers.
 *
 * While the database cannot be written, what is queued is kept in a file of the runtime directory
 * as well (event-spool.c), and tried again by and by: a killed manager loses nothing then, either.
 * Of a store that is read-only the database has tables of events and steps in memory
 * (db-readonly.c), so that events have numbers and are told all the same; the spool stays, and the
 * next manager that can write gives them the same numbers.
 *
 * A power loss may take events that somebody saw. Their numbers are not given again: each boot of
 * the machine skips more than could have been lost.
 */

#include "manager/event.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "manager/event-internal.h"

#define HISTORY_MAX 65536U
#define PRUNE_STEP  1024U
#define TELL_MAX    256U /* at once, before others have their turn */
#define URGENT      64U  /* queued: it is their turn, whatever else there is to do */
#define BOOT_SKIP   UINT64_C(1000000)
#define RETRY_USEC  USEC_PER_SEC

struct EventLog {
        Manager *manager;
        NoteQueue queue;
        uint64_t n_rows; /* of the history, at most; counted again when it grows too large */
        uint64_t told;   /* everybody has heard of the events up to this one */
        bool released;
        bool failing; /* the database was not written; the timer tries again */
        bool collect; /* what is not there any more is to be forgotten, when that can be written */
        sd_event_source *due, *retry;
};

static const char *const topic_names[_EVENT_TOPIC_MAX] = {
                [EVENT_TASK_CREATE] = "/tasks/create",
                [EVENT_TASK_EXEC_ADDED] = "/tasks/exec-added",
                [EVENT_TASK_START] = "/tasks/start",
                [EVENT_TASK_EXEC_STARTED] = "/tasks/exec-started",
                [EVENT_TASK_PAUSED] = "/tasks/paused",
                [EVENT_TASK_RESUMED] = "/tasks/resumed",
                [EVENT_TASK_OOM] = "/tasks/oom",
                [EVENT_TASK_EXIT] = "/tasks/exit",
                [EVENT_TASK_DELETE] = "/tasks/delete",
                [EVENT_TASK_CHECKPOINTED] = "/tasks/checkpointed",
                [EVENT_CONTAINER_CREATE] = "/containers/create",
                [EVENT_CONTAINER_UPDATE] = "/containers/update",
                [EVENT_CONTAINER_DELETE] = "/containers/delete",
                [EVENT_IMAGE_CREATE] = "/images/create",
                [EVENT_IMAGE_UPDATE] = "/images/update",
                [EVENT_IMAGE_DELETE] = "/images/delete",
                [EVENT_SNAPSHOT_PREPARE] = "/snapshot/prepare",
                [EVENT_SNAPSHOT_COMMIT] = "/snapshot/commit",
                [EVENT_SNAPSHOT_REMOVE] = "/snapshot/remove",
                [EVENT_CONTENT_CREATE] = "/content/create",
                [EVENT_CONTENT_DELETE] = "/content/delete",
                [EVENT_NAMESPACE_CREATE] = "/namespaces/create",
                [EVENT_NAMESPACE_UPDATE] = "/namespaces/update",
                [EVENT_NAMESPACE_DELETE] = "/namespaces/delete",
};

const char *event_topic_to_string(EventTopic topic) {
        return topic < _EVENT_TOPIC_MAX ? topic_names[topic] : "/tasks/?";
}

EventTopic event_topic_from_string(const char *name) {
        EventTopic topic = 0;

        while (topic < _EVENT_TOPIC_MAX && !streq(name, topic_names[topic]))
                topic++;
        return topic;
}

static void schedule(EventLog *l) {
        int r;

        r = sd_event_source_set_enabled(l->due, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error_errno(r, "Failed to schedule the events: %m");
}

static void set_priority(EventLog *l, int64_t priority) {
        int r;

        r = sd_event_source_set_priority(l->due, priority);
        if (r < 0)
                log_error_errno(r, "Failed to set the priority of the events: %m");
}

void event_log_append(EventLog *l, Note *n) {
        note_queue_append(&l->queue, n);
        if (l->queue.n == URGENT)
                set_priority(l, SD_EVENT_PRIORITY_NORMAL);
        schedule(l);
}

/* In steps, so that it costs little for each event. */
static int prune(EventLog *l, Error *e) {
        Database *db = l->manager->db;
        int r;

        if (l->n_rows < HISTORY_MAX + PRUNE_STEP)
                return 0;
        r = db_event_count(db, &l->n_rows, e);
        if (r != 0 || l->n_rows < HISTORY_MAX + PRUNE_STEP)
                return r;
        r = db_event_prune(db, l->n_rows - HISTORY_MAX, e);
        if (r == 0)
                l->n_rows = HISTORY_MAX;
        return r;
}

static int flush_some(EventLog *l, Error *e) {
        bool urgent = l->queue.n >= URGENT;
        int r;

        r = note_queue_write(&l->queue, l->manager->db, e);
        if (r == 0 && urgent && l->queue.n < URGENT)
                set_priority(l, SD_EVENT_PRIORITY_IDLE);
        return r;
}

static int flush_all(EventLog *l, Error *e) {
        int r = 0;

        while (r == 0 && l->queue.first)
                r = flush_some(l, e);
        return r;
}

int event_flush(Manager *m, Error *e) {
        return flush_all(m->events, e);
}

typedef struct Telling {
        EventLog *log;
        size_t n;
} Telling;

static int tell(const Event *event, void *userdata) {
        Telling *telling = userdata;
        EventLog *l = telling->log;
        const ManagerObserver *observer = l->manager->observer;

        if (observer && observer->event)
                observer->event(event, l->manager->observer_userdata);
        l->told = event->sequence;
        return ++telling->n >= TELL_MAX;
}

static int tell_all(EventLog *l, Error *e) {
        Telling telling = {.log = l};
        int r;

        if (!l->released)
                return 0;
        r = db_event_foreach(l->manager->db, &(EventQuery){.after = l->told, .until = UINT64_MAX},
                             tell, &telling, e);
        if (telling.n >= TELL_MAX)
                schedule(l);
        return r;
}

/* A full disk is emptied by and by. */
static void begin_failing(EventLog *l, const Error *e) {
        int r;

        if (!l->failing)
                log_error("%zu events have to wait: %s", l->queue.n, error_text(e));
        l->failing = true;
        note_queue_spool(&l->queue);
        r = sd_event_source_set_time_relative(l->retry, RETRY_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error_errno(r, "Failed to try again: %m");
}

static void write_and_tell(EventLog *l) {
        _cleanup_error_ Error e = ERROR_NULL;
        Manager *m = l->manager;
        int r;

        r = flush_some(l, &e);
        if (r == 0 && l->queue.first)
                schedule(l); /* others have their turn */
        else if (r == 0 && l->collect)
                r = event_log_collect(m, &e);
        if (r == 0)
                r = prune(l, &e);
        if (r == 0)
                r = tell_all(l, &e);
        if (r == 0)
                l->failing = false;
        else
                begin_failing(l, &e);
}

/* Where the spool has no room either, all of it is tried again with the retry, and not for each
 * event. */
static void spool_more(EventLog *l) {
        if (!l->queue.bare)
                note_queue_spool(&l->queue);
}

static int on_due(sd_event_source *source, void *userdata) {
        EventLog *l = userdata;

        if (l->failing)
                spool_more(l);
        else
                write_and_tell(l);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        write_and_tell(userdata);
        return 0;
}

void event_log_settle(EventLog *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (l->failing)
                spool_more(l);
        else if (flush_all(l, &e) != 0)
                begin_failing(l, &e);
}

static int on_first_boot(EventLog *l, Error *e) {
        const Manager *m = l->manager;
        int r;

        r = db_boot_changed(m->db, "events", m->boot_id, e);
        return r == 1 ? db_event_skip(m->db, BOOT_SKIP, e) : r;
}

/* A boot that the log has not seen yet: what was lost of the last one has had numbers. */
static int record_boot(EventLog *l, Error *e) {
        Database *db = l->manager->db;
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_boot_seen(db, "events", l->manager->boot_id, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        r = db_begin(db, e);
        if (r != 0)
                return r;
        transaction = db;
        r = on_first_boot(l, e);
        if (r == 0)
                r = db_commit(db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

/* A store that cannot be written is to be looked at all the same. */
static int log_open(EventLog *l, Error *e) {
        Database *db = l->manager->db;
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        if (record_boot(l, &local) != 0)
                log_warning("%s; numbers of events may be given twice", error_text(&local));
        r = db_event_last(db, &l->told, e);
        return r != 0 ? r : db_event_count(db, &l->n_rows, e);
}

/* A row was made; what comes of it is seen when its transaction is over. */
static void on_event(void *userdata) {
        EventLog *l = userdata;

        l->n_rows++;
        schedule(l);
}

int event_log_new(Manager *m, EventLog **ret, Error *e) {
        _cleanup_(event_log_freep) EventLog *l = NULL;
        int r;

        l = calloc(1, sizeof(EventLog));
        if (!l)
                return -ENOMEM;
        l->manager = m;
        r = log_open(l, e);
        if (r != 0)
                return r;
        r = sd_event_add_defer(m->event, &l->due, on_due, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->due, SD_EVENT_OFF);
        /* after whatever somebody waits for, before the loop sleeps */
        if (r >= 0)
                r = sd_event_source_set_priority(l->due, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_time(m->event, &l->retry, CLOCK_MONOTONIC, 0, 0, on_retry, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->retry, SD_EVENT_OFF);
        if (r < 0)
                return error_setf(e, r, "Failed to set up the events: %m");
        db_set_on_event(m->db, on_event, l);
        r = note_queue_load(&l->queue, m->runtime_dir, m->db, e);
        if (r != 0)
                return r;
        /* before anything else has a number */
        event_log_settle(l);
        /* which their manager has told; who writes them tells them again */
        if (db_is_readonly(m->db))
                r = db_event_last(m->db, &l->told, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

EventLog *event_log_free(EventLog *l) {
        if (!l)
                return NULL;
        db_set_on_event(l->manager->db, NULL, NULL);
        note_queue_clear(&l->queue);
        sd_event_source_disable_unref(l->due);
        sd_event_source_disable_unref(l->retry);
        free(l);
        return NULL;
}

void event_log_release(Manager *m) {
        m->events->released = true;
        schedule(m->events);
}

bool event_log_is_busy(const EventLog *l) {
        return l->queue.first != NULL;
}

int event_foreach(Manager *m, const EventQuery *query, int (*f)(const Event *e, void *userdata),
                  void *userdata, Error *e) {
        /* what is told is what happened, to the last bit; or what could be written of it */
        event_log_settle(m->events);
        return db_event_foreach(m->db, query, f, userdata, e);
}

int event_nth(Manager *m, uint64_t after, unsigned n, uint64_t *ret, Error *e) {
        event_log_settle(m->events);
        return db_event_nth(m->db, after, n, ret, e);
}

int event_last(Manager *m, uint64_t *ret, Error *e) {
        event_log_settle(m->events);
        return db_event_last(m->db, ret, e);
}

void event_log_collect_later(EventLog *l, bool later) {
        l->collect = later;
}
