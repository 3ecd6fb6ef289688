/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When garbage is collected.
 *
 * Invariant: one collection at a time; whoever waits is told by the first that began after he
 * asked.
 */

#include <inttypes.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper-internal.h"

#define START_USEC    (100 * USEC_PER_MSEC)
#define MUTATIONS_MAX 100
#define PAUSE_THRESHOLD                                                                            \
        50 /* a collection is followed by that many times its own time without one */

static void sweeper_run(Sweeper *s);

static int on_run(sd_event_source *source, uint64_t usec, void *userdata) {
        sweeper_run(userdata);
        return 0;
}

/* After whoever waits for an answer, and only when there is something to do. */
static int set_up_source(sd_event_source *source) {
        int r;

        r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return r < 0 ? r : sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
}

int sweeper_schedule(Sweeper *s, uint64_t delay_usec) {
        int enabled, r;

        r = sd_event_source_get_enabled(s->source, &enabled);
        if (r < 0)
                return r;
        if (enabled != SD_EVENT_OFF && delay_usec > 0)
                return 0;
        r = sd_event_source_set_time_relative(s->source, delay_usec);
        return r < 0 ? r : sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT);
}

/* When the next collection may come. */
static uint64_t collection_delay(const Sweeper *s) {
        uint64_t now = now_monotonic();

        if (s->waiters)
                return 0;
        return MAX_OF(SWEEPER_DELAY_USEC, s->not_before > now ? s->not_before - now : 0);
}

static void on_mutation(void *userdata) {
        Sweeper *s = userdata;

        if (s->collection && collection_is_writing(s->collection))
                return;
        if (++s->mutations < MUTATIONS_MAX || s->collect)
                return;
        s->collect = true;
        if (sweeper_schedule(s, collection_delay(s)) < 0)
                log_warning("Failed to schedule a collection");
}

static int on_blobs(sd_event_source *source, void *userdata) {
        sweeper_remove_blobs(userdata);
        return 0;
}

int sweeper_new(Manager *m, Sweeper **ret) {
        _cleanup_(sweeper_freep) Sweeper *s = NULL;
        int r;

        s = calloc(1, sizeof(Sweeper));
        if (!s)
                return -ENOMEM;
        s->manager = m;
        s->pidfd = -1;
        r = sd_event_add_time_relative(m->event, &s->source, CLOCK_MONOTONIC, 0, 1, on_run, s);
        if (r >= 0)
                r = set_up_source(s->source);
        if (r >= 0)
                r = sd_event_add_defer(m->event, &s->blobs_source, on_blobs, s);
        if (r >= 0)
                r = set_up_source(s->blobs_source);
        if (r < 0)
                return r;
        db_set_on_mutation(m->db, on_mutation, s);
        *ret = TAKE_PTR(s);
        return 0;
}

Sweeper *sweeper_free(Sweeper *s) {
        if (!s)
                return NULL;
        db_set_on_mutation(s->manager->db, NULL, NULL);
        waiters_complete(&s->waiters, NULL, -ESHUTDOWN, NULL);
        waiters_complete(&s->collection_waiters, NULL, -ESHUTDOWN, NULL);
        waiters_complete(&s->removal_waiters, NULL, -ESHUTDOWN, NULL);
        collection_free(s->collection);
        sd_event_source_disable_unref(s->source);
        sd_event_source_disable_unref(s->blobs_source);
        sd_event_source_disable_unref(s->child);
        fd_close(s->pidfd);
        for (size_t i = s->next_blob; i < s->n_blobs; i++)
                free(s->blobs[i]);
        free(s->blobs);
        free(s);
        return NULL;
}

bool sweeper_is_busy(const Sweeper *s) {
        return sweeper_has_files(s) || s->collection || s->collect || s->waiters ||
               s->removal_waiters;
}

const Collected *sweeper_collected(const Sweeper *s) {
        return &s->collected;
}

int sweeper_collect(Sweeper *s, Callback callback, void *userdata, Error *e) {
        int r;

        r = sweeper_schedule(s, callback ? 0 : collection_delay(s));
        if (r < 0)
                return r;
        s->collect = true;
        return callback ? waiter_add(&s->waiters, callback, userdata) : 0;
}

int sweeper_collect_at_start(Sweeper *s, Error *e) {
        int r;

        s->collect = true;
        r = sweeper_schedule(s, START_USEC);
        return r < 0 ? error_setf(e, r, "Failed to schedule a collection: %m") : 0;
}

static void on_collected(int r, const Error *e, void *userdata) {
        Sweeper *s = userdata;

        s->collection = collection_free(s->collection);
        s->not_before = now_monotonic() + PAUSE_THRESHOLD * s->collected.busy_usec;
        if (r != 0) {
                log_error("Failed to collect garbage: %s", error_text_of(r, e));
                waiters_complete(&s->collection_waiters, NULL, r, e);
        } else
                log_debug("Collected %" PRIu64 " blobs and %" PRIu64 " snapshots in %" PRIu64
                          " turns, the longest of %" PRIu64 " us",
                          s->collected.blobs, s->collected.snapshots, s->collected.n_turns,
                          s->collected.longest_usec);
        waiters_move(&s->removal_waiters, &s->collection_waiters);
        if (s->doomed)
                (void) sweeper_schedule(s, 0);
        else if (s->collect)
                (void) sweeper_schedule(s, collection_delay(s));
        sweeper_settle(s);
}

static void start_collection(Sweeper *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        s->collect = false;
        s->mutations = 0;
        s->collected = (Collected){};
        s->collection_waiters = TAKE_PTR(s->waiters);
        r = collection_start(s->manager, &s->collected, on_collected, s, &s->collection, &e);
        if (r == 0)
                return;
        log_error("Failed to begin a collection: %s", error_text_of(r, &e));
        waiters_complete(&s->collection_waiters, NULL, r, &e);
}

static void sweeper_run(Sweeper *s) {
        if (s->collect && !s->collection) {
                if (!s->waiters && s->not_before > now_monotonic())
                        (void) sweeper_schedule(s, collection_delay(s));
                else
                        start_collection(s);
        }
        sweeper_remove_trees(s);
        sweeper_settle(s);
}
