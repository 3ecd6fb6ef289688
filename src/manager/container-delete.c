/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The end of a container: its task's, if that is to go, too, then that of its record and of what
 * belongs to nobody else.
 *
 * Invariant: the rows go in one transaction; directories follow them.
 */

#include "basic/log.h"
#include "manager/container.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/restart.h"
#include "manager/sweeper.h"
#include "manager/task.h"
#include "manager/version.h"
#include "manager/volume.h"

struct PendingDelete {
        Manager *manager;
        PendingDelete *previous, *next;
        char *namespace, *id;
        ContainerDeleteFlags flags;
        Callback callback;
        void *userdata;
        sd_event_source *source;
};

static PendingDelete *pending_delete_free(PendingDelete *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->source);
        *(p->previous ? &p->previous->next : &p->manager->pending_deletes) = p->next;
        if (p->next)
                p->next->previous = p->previous;
        free(p->namespace);
        free(p->id);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(PendingDelete *, pending_delete_free);

/* The snapshots that go with it besides its root. A volume of which an archive is read or written
 * stays. */
static int find_own_mounts(Container *c, bool volumes, int64_t **ret, size_t *ret_n, Error *e) {
        _cleanup_free_ int64_t *list = NULL;
        Manager *m = c->object.manager;
        size_t n = 0, n_found = 0;
        int r;

        r = db_container_mounts_own(m->db, c, volumes, &list, &n_found, e);
        for (size_t i = 0; r == 0 && i < n_found; i++) {
                bool busy = false;

                r = volume_is_busy(m, list[i], &busy, e);
                if (!busy)
                        list[n++] = list[i];
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}

static int container_delete_now(Container *c, ContainerDeleteFlags flags, Error *e) {
        bool keep = flags & CONTAINER_DELETE_KEEP_SNAPSHOT;
        Manager *m = c->object.manager;
        _cleanup_rollback_ Database *transaction = NULL;
        _cleanup_free_ int64_t *mounts = NULL;
        size_t n_mounts = 0;
        int r;

        r = find_own_mounts(c, flags & CONTAINER_DELETE_VOLUMES, &mounts, &n_mounts, e);
        if (r != 0)
                return r;
        r = c->volatile_root && n_mounts == 0 ? db_begin_unsynced(m->db, e) : db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_container_delete(m->db, c, e);
        for (size_t i = 0; r == 0 && i < n_mounts; i++)
                r = db_snapshot_delete(m->db, mounts[i], e);
        if (r == 0 && !keep && c->snapshot > 0)
                r = db_snapshot_delete(m->db, c->snapshot, e);
        if (r == 0 && flags & CONTAINER_DELETE_VERSIONS)
                r = db_versions_forget(m->db, c->object.namespace, c->object.name, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;

        if (!keep && c->snapshot > 0)
                /* the row is gone: a directory that cannot be moved now goes at the next start */
                (void) sweeper_doom(m->sweeper, c->snapshot, NULL);
        for (size_t i = 0; i < n_mounts; i++)
                (void) sweeper_doom(m->sweeper, mounts[i], NULL);
        /* it may have been the last one on layers whose image is gone */
        (void) sweeper_collect(m->sweeper, NULL, NULL, NULL);
        container_free(c);
        restarts_forget(m);
        return 0;
}

static void pending_delete_finish(PendingDelete *p) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c;
        int r;

        r = container_find(p->manager, p->namespace, p->id, &c, &e);
        if (r == 0)
                r = version_operation_check(c, &e);
        if (r == 0 && c->task)
                r = error_setf(&e, CTR_FAILED_PRECONDITION,
                               "The container \"%s\" has a task (%s): delete the task first", p->id,
                               task_status_to_string(c->task->process.status));
        if (r == 0)
                r = container_delete_now(c, p->flags, &e);
        p->callback(NULL, r, &e, p->userdata);
        pending_delete_free(p);
}

static int on_delete(sd_event_source *source, void *userdata) {
        pending_delete_finish(userdata);
        return 0;
}

/* The task is freed after this returns; the container goes in the loop's next turn. */
static void on_task_deleted(Object *o, int r, const Error *e, void *userdata) {
        PendingDelete *p = userdata;

        if (r != 0) {
                p->callback(NULL, r, e, p->userdata);
                pending_delete_free(p);
                return;
        }
        r = sd_event_source_set_enabled(p->source, SD_EVENT_ONESHOT);
        assert(r >= 0);
}

int container_delete(Container *c, ContainerDeleteFlags flags, Callback callback, void *userdata,
                     Error *e) {
        _cleanup_(pending_delete_freep) PendingDelete *p = NULL;
        Manager *m = c->object.manager;
        int r;

        r = version_operation_check(c, e);
        if (r != 0)
                return r;
        p = calloc(1, sizeof(PendingDelete));
        if (!p)
                return -ENOMEM;
        *p = (PendingDelete){
                        .manager = m,
                        .next = m->pending_deletes,
                        .namespace = strdup(c->object.namespace),
                        .id = strdup(c->object.name),
                        .flags = flags,
                        .callback = callback,
                        .userdata = userdata,
        };
        if (p->next)
                p->next->previous = p;
        m->pending_deletes = p;
        if (!p->namespace || !p->id)
                return -ENOMEM;
        r = sd_event_add_defer(m->event, &p->source, on_delete, p);
        if (r < 0)
                return r;
        /* its next run may be due before it is gone */
        if (flags & CONTAINER_DELETE_FORCE)
                restart_user_stops(c);
        if (c->task && (flags & CONTAINER_DELETE_FORCE)) {
                r = sd_event_source_set_enabled(p->source, SD_EVENT_OFF);
                if (r < 0)
                        return r;
                /* somebody else may have begun to take the task away */
                r = c->task->process.deleting ? waiter_add(&c->task->process.delete_waiters,
                                                           on_task_deleted, p)
                                              : process_delete(&c->task->process, true,
                                                               on_task_deleted, p, e);
                if (r != 0)
                        return r;
        }
        TAKE_PTR(p);
        return 0;
}

static void on_auto_removed(Object *o, int r, const Error *e, void *userdata) {
        if (r != 0 && r != CTR_NOT_FOUND && r != -ESHUTDOWN)
                log_warning("A container that was to go with its task stays: %s",
                            e ? error_text(e) : error_code_to_string(r));
}

void container_auto_remove(Container *c) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = container_delete(c, CONTAINER_DELETE_FORCE | CONTAINER_DELETE_VOLUMES, on_auto_removed,
                             NULL, &e);
        if (r != 0)
                on_auto_removed(NULL, r, &e, NULL);
}

void container_deletes_cancel(Manager *m) {
        while (m->pending_deletes) {
                _cleanup_(pending_delete_freep) PendingDelete *p = m->pending_deletes;

                p->callback(NULL, -ESHUTDOWN, NULL, p->userdata);
        }
}
