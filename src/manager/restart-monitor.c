/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From where the restart monitor hears: tasks that come and go, what users do to them and to the
 * labels, and the start of the manager. What follows from it is in restart.c. */

#include <unistd.h>

#include "basic/log.h"
#include "manager/db.h"
#include "manager/monitor.h"
#include "manager/restart-internal.h"

/* A new task: what it needs to be made again is kept. */
static int attach(Task *t, Error *e) {
        Restart *r = t->container->restart;
        bool own = r->phase == RESTART_CREATING;

        if (!restart_labels_wanted(t->container->labels) || t->process.object.manager->recovering)
                return 0;
        for (unsigned i = 0; !own && i < 3; i++)
                if (free_and_strdup(&r->streams[i], process_stream(&t->process, i)) < 0)
                        return -ENOMEM;
        return restart_note_run(r, own, e);
}

static void exited(Task *t) {
        Restart *r = t->container->restart;

        /* a start sees the whole first */
        if (t->process.object.manager->recovering || t->process.deleting ||
            !restart_labels_running(t->container->labels))
                return;
        /* of an attempt that was given up */
        if (r->phase == RESTART_WAITING || r->phase == RESTART_DELETING)
                return;
        restart_ask_and_judge(r);
}

/* Deleting the task without a word to us: nothing is left to be restarted after it. */
static void detach(Task *t) {
        Restart *r = t->container->restart;

        if (r->phase == RESTART_JUDGING)
                restart_set_phase(r, RESTART_IDLE);
}

static const TaskMonitor restart_monitor = {
                .name = "restart",
                .attach = attach,
                .detach = detach,
                .exited = exited,
};

void restart_user_starts(Container *c) {
        Restart *r = c->restart;

        if (r->own || !restart_labels_wanted(c->labels) ||
            restart_labels_policy(c->labels).kind == RESTART_NO)
                return;
        r->failures = 0;
        r->attempt = false;
        restart_save_or_log(r, &(RestartChange){.status = "running", .explicitly_stopped = false},
                            true);
}

void restart_user_stops(Container *c) {
        Restart *r = c->restart;

        if (r->own || !restart_labels_wanted(c->labels))
                return;
        /* the others find out when they are called back */
        if (r->phase == RESTART_WAITING || r->phase == RESTART_JUDGING)
                restart_set_phase(r, RESTART_IDLE);
        restart_note_stopped(r, true);
}

bool restart_is_due(const Container *c) {
        return c->restart->phase != RESTART_IDLE;
}

static void on_stopped_by_label(Object *o, int k, const Error *e, void *userdata) {
        if (k != 0 && k != CTR_NOT_FOUND && k != -ESHUTDOWN)
                log_warning("A task that its container's labels want stopped goes on: %s",
                            error_text(e));
}

/* A4.18: wanted stopped means killed and deleted. */
static void stop_by_label(Restart *r) {
        Container *c = r->container;
        _cleanup_error_ Error e = ERROR_NULL;
        int k;

        if (r->phase == RESTART_WAITING || r->phase == RESTART_JUDGING)
                restart_set_phase(r, RESTART_IDLE);
        if (!c->task || c->task->process.deleting)
                return;
        r->own = true;
        k = process_delete(&c->task->process, true, on_stopped_by_label, NULL, &e);
        r->own = false;
        if (k != 0)
                on_stopped_by_label(NULL, k, &e, NULL);
}

void restart_labels_changed(Container *c, json_t *before) {
        const char *status = json_string_value(json_object_get(c->labels, RESTART_LABEL_STATUS));
        _cleanup_error_ Error e = ERROR_NULL;
        bool was_running = restart_labels_running(before);
        Restart *r = c->restart;

        if (restarts_mark(c->object.manager, &e) != 0)
                log_error("%s", error_text(&e));
        if (!was_running && restart_labels_running(c->labels)) {
                /* whatever it ended with, it is wanted now */
                r->exited = false;
                r->failures = 0;
                if (c->task && c->task->process.status == TASK_STOPPED)
                        restart_schedule(r, RESTART_WAITING, 0);
                else
                        restart_reconcile(r);
        } else if (was_running && streq(strempty(status), "stopped"))
                stop_by_label(r);
        else if (r->phase == RESTART_WAITING && !restart_wanted(c->labels, r->exit_status))
                restart_set_phase(r, RESTART_IDLE);
}

static int after_boot(Object *o, void *userdata) {
        Container *c = CONTAINER(o);
        json_t *labels;

        /* a user's stop of such a container holds until here */
        if (restart_labels_running(c->labels) || !restart_wanted_at_boot(c->labels))
                return 0;
        labels = restart_change_labels(c, &(RestartChange){.status = "running", .count = -1});
        if (!labels)
                return -ENOMEM;
        c->restart->exited = false;
        return restart_save(c->restart, labels, true, userdata);
}

static int reconcile_one(Object *o, void *userdata) {
        Container *c = CONTAINER(o);

        if (restart_labels_wanted(c->labels))
                restart_reconcile(c->restart);
        return 0;
}

int restarts_recovered(Manager *m, Error *e) {
        int r;

        /* the boot is noted last: what was not done for it is done again */
        r = db_boot_seen(m->db, "restart", m->boot_id, e);
        if (r == 0)
                r = object_foreach(m, OBJECT_CONTAINER, NULL, after_boot, e);
        if (r == 0)
                r = db_boot_changed(m->db, "restart", m->boot_id, e);
        r = r == 1 ? 0 : r;
        m->restarts->marked = faccessat(m->state_fd, RESTART_MARKER, F_OK, 0) >= 0;
        if (r == 0)
                r = restarts_mark(m, e);
        (void) object_foreach(m, OBJECT_CONTAINER, NULL, reconcile_one, NULL);
        return r;
}

int restarts_new(Manager *m, const RestartTimes *times, Restarts **ret, Error *e) {
        Restarts *r;

        r = calloc(1, sizeof(Restarts));
        if (!r)
                return -ENOMEM;
        r->manager = m;
        r->times = times ? *times : restart_times_default;
        monitor_register(m, &restart_monitor);
        *ret = r;
        return 0;
}

Restarts *restarts_free(Restarts *r) {
        free(r);
        return NULL;
}

bool restarts_are_busy(const Restarts *r) {
        return r->n_busy > 0;
}
