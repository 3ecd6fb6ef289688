/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/collection.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "manager/content.h"
#include "manager/db-gc.h"
#include "manager/image.h"
#include "manager/lease-internal.h"
#include "manager/manager.h"
#include "manager/reader.h"

#define TURN_USEC (5 * USEC_PER_MSEC) /* for rows, without the sync, and again for directories */
#define ROWS_MAX  512                 /* of one transaction */

struct Collection {
        Manager *manager;
        Collected *collected;
        CollectionDone done;
        void *userdata;

        uint64_t now; /* by which leases have expired */
        Reader *reader;
        sd_event_source *source; /* enabled when the mark is there */
        DbGarbage garbage;
        size_t next_snapshot, next_content;
        int64_t doomed[ROWS_MAX]; /* whose rows have gone, and whose directories are next */
        size_t n_doomed, next_doomed;
        bool writing;
};

Collection *collection_free(Collection *c) {
        if (!c)
                return NULL;
        reader_free(c->reader);
        sd_event_source_disable_unref(c->source);
        db_garbage_done(&c->garbage);
        free(c);
        return NULL;
}

bool collection_is_writing(const Collection *c) {
        return c->writing;
}

static void collection_finish(Collection *c, int r, const Error *e) {
        (void) sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
        c->done(r, e, c->userdata);
}

static int find(Database *reader, void *userdata, Error *e) {
        Collection *c = userdata;

        return db_gc_find(reader, c->now, &c->garbage, e);
}

static void on_found(int r, const Error *e, void *userdata) {
        Collection *c = userdata;

        c->reader = reader_free(c->reader);
        if (r == 0)
                r = sd_event_source_set_enabled(c->source, SD_EVENT_ON);
        if (r != 0)
                collection_finish(c, r, e);
}

/* The next row of the garbage: 1 if it is gone, 0 if it stays. */
static int remove_row(Collection *c, char ***blobs, Error *e) {
        _cleanup_(db_removed_done) DbRemoved removed = {};
        Manager *m = c->manager;
        int r;

        /* children before their parents, and all of them before what their labels name */
        if (c->next_snapshot < c->garbage.n_snapshots) {
                int64_t id = c->garbage.snapshots[c->next_snapshot++];

                r = db_gc_remove_snapshot(m->db, id, &removed, e);
                if (r != 1)
                        return r;
                c->doomed[c->n_doomed++] = id;
                c->collected->snapshots++;
        } else {
                r = db_gc_remove_content(m->db, c->garbage.content[c->next_content++], &removed, e);
                if (r != 1)
                        return r;
                if (removed.blob && strv_extend(blobs, removed.blob) < 0)
                        return -ENOMEM;
                c->collected->blobs += removed.blob ? 1 : 0;
        }
        c->collected->bytes += removed.bytes;
        return 1;
}

static bool rows_left(const Collection *c) {
        return c->next_snapshot < c->garbage.n_snapshots || c->next_content < c->garbage.n_content;
}

/* As many rows as a turn has time for, durably. */
static int remove_rows(Collection *c, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        uint64_t until = now_monotonic() + TURN_USEC;
        _cleanup_strv_free_ char **blobs = NULL;
        Manager *m = c->manager;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_gc_rescue(m->db, c->now, e);
        for (size_t n = 0; r == 0 && rows_left(c) && n < ROWS_MAX && now_monotonic() < until; n++) {
                r = remove_row(c, &blobs, e);
                if (r == 1)
                        r = 0;
        }
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        STRV_FOREACH(blob, blobs)
                if (sweeper_remove_blob(m->sweeper, *blob) < 0)
                        return -ENOMEM;
        return 0;
}

static void doom_directories(Collection *c) {
        uint64_t until = now_monotonic() + TURN_USEC;

        while (c->next_doomed < c->n_doomed && now_monotonic() < until) {
                _cleanup_error_ Error e = ERROR_NULL;

                /* the next start takes what stays */
                if (sweeper_doom(c->manager->sweeper, c->doomed[c->next_doomed++], &e) != 0)
                        log_warning("%s", error_text(&e));
        }
        if (c->next_doomed == c->n_doomed)
                c->n_doomed = c->next_doomed = 0;
}

static int on_turn(sd_event_source *source, void *userdata) {
        uint64_t start = now_monotonic(), usec;
        _cleanup_error_ Error e = ERROR_NULL;
        Collection *c = userdata;
        int r = 0;

        if (c->n_doomed == 0 && !rows_left(c)) {
                collection_finish(c, 0, NULL);
                return 0;
        }
        if (c->n_doomed == 0) {
                c->writing = true;
                r = remove_rows(c, &e);
                c->writing = false;
        }
        /* in the same turn, so that who hears of the rows finds the files gone, too, if they are
         * few
         */
        if (r == 0) {
                doom_directories(c);
                sweeper_remove_blobs(c->manager->sweeper);
        }
        usec = now_monotonic() - start;
        c->collected->n_turns++;
        c->collected->busy_usec += usec;
        c->collected->longest_usec = MAX_OF(c->collected->longest_usec, usec);
        if (r != 0)
                collection_finish(c, r, &e);
        return 0;
}

static int append_name(const char *namespace, const char *name, void *userdata) {
        char ***l = userdata;

        return strv_extend(l, namespace) < 0 ? -ENOMEM : strv_extend(l, name);
}

/* Those go as if they were deleted. */
static int remove_expired_images(Manager *m, uint64_t now, Error *e) {
        _cleanup_strv_free_ char **names = NULL;
        int r;

        r = db_gc_expired_images(m->db, now, append_name, &names, e);
        for (size_t i = 0; r == 0 && names && names[i]; i += 2) {
                Object *o = object_find(m, OBJECT_IMAGE, names[i], names[i + 1]);

                log_info("The image %s of namespace %s has expired", names[i + 1], names[i]);
                if (o)
                        r = image_delete(IMAGE(o), NULL, NULL, e);
        }
        return r;
}

int collection_start(Manager *m, Collected *collected, CollectionDone done, void *userdata,
                     Collection **ret, Error *e) {
        _cleanup_(collection_freep) Collection *c = NULL;
        int r;

        assert(m && collected && done && ret);

        c = calloc(1, sizeof(Collection));
        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->collected = collected;
        c->done = done;
        c->userdata = userdata;
        c->now = now_realtime();
        r = sd_event_add_defer(m->event, &c->source, on_turn, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
        /* after whoever waits for an answer */
        if (r >= 0)
                r = sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        r = leases_end_forsaken(m->leases, e);
        if (r == 0)
                r = remove_expired_images(m, c->now, e);
        if (r == 0)
                r = ingests_expire(m, &collected->ingests, e);
        if (r == 0)
                r = db_gc_begin(m->db, e);
        if (r == 0)
                r = reader_start(m, find, on_found, c, &c->reader, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}
