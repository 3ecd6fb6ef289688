/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a version is made, or gone back to. operation_advance() looks at what is there and does the
 * next step, whose end calls it again; so it goes on the same way in a manager that finds the
 * operation half done.
 */

#include <inttypes.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/restart-internal.h"
#include "manager/sweeper.h"
#include "manager/version-internal.h"

static void operation_advance(VersionOperation *o);

static int on_advance(sd_event_source *source, void *userdata) {
        operation_advance(userdata);
        return 0;
}

/* In the loop's next turn: whoever called back has more to do with what he told about. */
static int operation_schedule(VersionOperation *o) {
        return sd_event_source_set_enabled(o->source, SD_EVENT_ONESHOT);
}

int version_operation_run(VersionOperation *o, Error *e) {
        int r;

        r = sd_event_add_defer(o->container->object.manager->event, &o->source, on_advance, o);
        if (r < 0)
                return error_setf(e, r, "Failed to schedule an operation: %m");
        o->container->version_operation = o;
        return 0;
}

/* Over: whoever waits is told the first thing that went wrong. */
static void operation_finish(VersionOperation *o) {
        _cleanup_error_ Error e = ERROR_NULL;
        VersionCallback callback = o->callback;
        Container *c = o->container;
        int r = error_move(&e, &o->error);

        version_operation_end(c);
        o->callback = NULL;
        if (callback)
                callback(r, &e, o->version, strempty(o->snapshot), o->userdata);
        else if (r != 0)
                log_error("The version of container %s: %s", c->object.name, error_text_of(r, &e));
        version_operation_free(o);
}

/* A step failed. What is left is the start of a task like the one there was. */
static void operation_fail(VersionOperation *o, int r, const Error *e) {
        _cleanup_free_ char *text = NULL;
        Container *c = o->container;

        if (r == -ESHUTDOWN) {
                version_operation_free(o);
                return;
        }
        if (o->switched)
                error_setf(&o->error, r, "The root was changed, but the task not started: %s",
                           error_text_of(r, e));
        else
                error_setf(&o->error, r, "%s", error_text_of(r, e));
        if (o->switched || !o->start) {
                operation_finish(o);
                return;
        }
        o->switched = true;
        if (version_operation_to_text(o, &text) < 0 ||
            db_container_set_operation(c->object.manager->db, c, text, NULL) != 0)
                log_warning("Failed to note that the version of container %s failed",
                            c->object.name);
        if (operation_schedule(o) < 0)
                operation_finish(o);
}

/* The end of any step with a task. */
static void on_step(Object *object, int r, const Error *e, void *userdata) {
        VersionOperation *o = userdata;

        o->making_task = false;
        if (r == 0)
                r = operation_schedule(o);
        if (r != 0)
                operation_fail(o, r, e);
}

/* Whoever stopped it: it has stopped. */
static void on_stopped(Object *object, int r, const Error *e, void *userdata) {
        on_step(object, r == CTR_NOT_FOUND ? 0 : r, e, userdata);
}

static int stop_task(VersionOperation *o, Error *e) {
        Task *t = o->container->task;
        int r;

        o->stopped = true;
        if (t->process.status == TASK_CREATED)
                return operation_schedule(o);
        r = task_stop(t, 0, o->stop_timeout, true, on_stopped, o, e);
        return r == CTR_NOT_FOUND ? operation_schedule(o) : r;
}

static int delete_task(VersionOperation *o, Error *e) {
        Process *p = &o->container->task->process;
        Restart *restart = o->container->restart;
        int r;

        if (p->deleting)
                return waiter_add(&p->delete_waiters, on_step, o);
        /* one that has ended by itself is not stopped by its user now */
        restart->own = p->status == TASK_STOPPED;
        r = process_delete(p, true, on_step, o, e);
        restart->own = false;
        return r;
}

static int make_task(VersionOperation *o, Error *e) {
        TaskRequest request = {.streams = STREAMS_NULL};
        int r;

        for (size_t i = 0; i < 3; i++) {
                restart_parse_stream(strempty(o->streams[i]), &request.streams.kind[i],
                                     &request.streams.path[i]);
                if (i == 0 && request.streams.kind[i] == STDIO_JOURNAL) /* output only */
                        request.streams.kind[i] = STDIO_NULL;
        }
        o->making_task = true;
        r = task_create(o->container, &request, on_step, o, e);
        if (r != 0)
                o->making_task = false;
        return r;
}

static void on_started(Object *object, int r, const Error *e, void *userdata) {
        VersionOperation *o = userdata;

        /* somebody else was faster */
        if (r == 0 || r == CTR_FAILED_PRECONDITION)
                operation_finish(o);
        else
                operation_fail(o, r, e);
}

static int start_task(VersionOperation *o, Error *e) {
        Process *p = &o->container->task->process;
        int r;

        /* after the root was changed there was none: this one is ours, and has been started */
        if (p->status != TASK_CREATED) {
                operation_finish(o);
                return 0;
        }
        r = process_start(p, on_started, o, e);
        if (r != CTR_FAILED_PRECONDITION)
                return r;
        error_clear(e);
        operation_finish(o);
        return 0;
}

/* The labels of a version: the caller's, and those that tell a human whose it is. */
static json_t *version_labels(const VersionOperation *o) {
        _cleanup_json_ json_t *labels = o->labels ? json_copy(o->labels) : json_object();
        char number[16];

        (void) snprintf(number, sizeof(number), "%u", o->version);
        if (!labels ||
            json_object_set_new(labels, SNAPSHOT_LABEL_CONTAINER,
                                json_string(o->container->object.name)) < 0 ||
            json_object_set_new(labels, SNAPSHOT_LABEL_VERSION, json_string(number)) < 0)
                return NULL;
        return TAKE_PTR(labels);
}

/* The active snapshot becomes the version. */
static int commit_version(VersionOperation *o, Error *e) {
        _cleanup_json_ json_t *labels = version_labels(o);
        Container *c = o->container;

        if (!labels || asprintf(&o->snapshot, "%s-v%u", c->object.name, o->version) < 0)
                return -ENOMEM;
        return db_snapshot_commit(c->object.manager->db, c->snapshot,
                                  &(Snapshot){
                                                  .key = o->snapshot,
                                                  .labels = labels,
                                                  .bytes = o->bytes,
                                                  .inodes = o->inodes,
                                                  .container = c->object.name,
                                                  .version = o->version,
                                  },
                                  e);
}

/* What the new root lies upon: the container's snapshot, which becomes the version, or the one that
 * it goes back to. */
typedef struct Base {
        uint32_t version;
        int64_t id;
        char *key;
} Base;

static int find_base(const Snapshot *s, void *userdata) {
        Base *base = userdata;

        if (s->version != base->version)
                return 0;
        base->id = s->id;
        return free_and_strdup(&base->key, s->key);
}

static int operation_base(VersionOperation *o, int64_t *ret, Error *e) {
        const Container *c = o->container;
        Base base = {.version = o->version};
        int r;

        if (!o->rollback) {
                *ret = c->snapshot;
                return 0;
        }
        r = db_versions_foreach(c->object.manager->db, c->object.namespace, c->object.name,
                                find_base, &base, e);
        if (r == 0 && base.id == 0)
                r = error_setf(e, CTR_NOT_FOUND, "The version %u is gone", o->version);
        free(o->snapshot);
        o->snapshot = base.key;
        *ret = base.id;
        return r;
}

/* The rows of the switch: versions, snapshots, the container and its operation. */
static int switch_rows(VersionOperation *o, int64_t base, const char *key, const char *tree,
                       int64_t *ret_id, Error *e) {
        Container *c = o->container;
        Manager *m = c->object.manager;
        _cleanup_free_ char *text = NULL;
        int r;

        r = o->rollback ? 0 : commit_version(o, e);
        if (r == 0)
                r = snapshot_check_parent(m, c->snapshotter, base, e);
        if (r == 0)
                r = db_snapshot_insert(m->db,
                                       &(Snapshot){
                                                       .kind = SNAPSHOT_ACTIVE,
                                                       .snapshotter = c->snapshotter,
                                                       .namespace = c->object.namespace,
                                                       .key = (char *) key,
                                                       .parent_id = base,
                                       },
                                       ret_id, e);
        if (r == 0)
                r = db_container_set_snapshot(m->db, c, *ret_id, key, now_realtime(), e);
        if (r == 0 && o->rollback)
                r = db_snapshot_delete(m->db, c->snapshot, e);
        if (r == 0)
                r = version_operation_to_text(o, &text);
        if (r == 0)
                r = db_container_set_operation(m->db, c, o->start ? text : NULL, e);
        if (r == 0)
                r = snapshot_directory_make(m, c->snapshotter, *ret_id, base, tree, e);
        return r;
}

static int switch_root(VersionOperation *o, const char *tree, Error *e) {
        Container *c = o->container;
        Manager *m = c->object.manager;
        _cleanup_rollback_ Database *transaction = NULL;
        uint32_t last_version = c->last_version;
        int64_t base = 0, id = 0, old = c->snapshot;
        _cleanup_free_ char *key = NULL;
        int r;

        if (asprintf(&key, "%s-active-%" PRIu64, c->object.name, now_realtime()) < 0)
                return -ENOMEM;
        r = operation_base(o, &base, e);
        if (r == 0)
                r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        o->switched = true;
        if (!o->rollback)
                c->last_version = o->version;
        r = switch_rows(o, base, key, tree, &id, e);
        if (r == 0) {
                r = db_commit(m->db, e);
                if (r != 0)
                        (void) sweeper_doom(m->sweeper, id, NULL);
        }
        if (r != 0) {
                o->switched = false;
                c->last_version = last_version;
                return r;
        }
        transaction = NULL;
        free(c->snapshot_key);
        c->snapshot_key = TAKE_PTR(key);
        c->snapshot = id;
        c->updated_at = now_realtime();
        if (!o->start)
                free(TAKE_PTR(c->operation));
        object_mark_dirty(&c->object);
        if (o->rollback) {
                (void) sweeper_doom(m->sweeper, old, NULL);
                (void) sweeper_collect(m->sweeper, NULL, NULL, NULL);
        }
        return 0;
}

static void on_copied(int r, const Error *e, const char *tree, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        VersionOperation *o = userdata;

        if (r == 0) {
                r = switch_root(o, tree, &local);
                e = &local;
        }
        if (r == 0)
                r = operation_schedule(o);
        if (r != 0)
                operation_fail(o, r, e);
}

/* The task is gone, and what it wrote is on the disk. */
static int copy_and_switch(VersionOperation *o, Error *e) {
        Container *c = o->container;
        int64_t base;
        int r;

        r = operation_base(o, &base, e);
        if (r != 0)
                return r;
        if (snapshot_needs_copy(c->snapshotter, base))
                return snapshot_copy(c->object.manager, c->snapshotter, c->object.namespace, base,
                                     on_copied, o, e);
        r = switch_root(o, NULL, e);
        return r != 0 ? r : operation_schedule(o);
}

static void on_settled(int r, const Error *e, uint64_t bytes, uint64_t inodes, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        VersionOperation *o = userdata;

        if (r == 0) {
                o->bytes = bytes;
                o->inodes = inodes;
                r = copy_and_switch(o, &local);
                e = &local;
        }
        if (r != 0)
                operation_fail(o, r, e);
}

static int settle(VersionOperation *o, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        Manager *m = o->container->object.manager;
        int r;

        if (o->rollback)
                return copy_and_switch(o, e);
        r = db_snapshot_get(m->db, o->container->snapshot, &s, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "The container's snapshot is gone");
        return r != 1 ? r : snapshot_settle(m, s, on_settled, o, e);
}

static void operation_advance(VersionOperation *o) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = o->container;
        int r;

        if (!o->switched && c->task && !o->stopped && c->task->process.status != TASK_STOPPED)
                r = stop_task(o, &e);
        else if (!o->switched && c->task)
                r = delete_task(o, &e);
        else if (!o->switched)
                r = settle(o, &e);
        else if (o->start && c->task)
                r = start_task(o, &e);
        else if (o->start)
                r = make_task(o, &e);
        else {
                operation_finish(o);
                return;
        }
        if (r != 0)
                operation_fail(o, r, &e);
}
