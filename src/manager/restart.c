/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/restart.h"

#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/monitor.h"
#include "manager/restart-internal.h"

static void act(Restart *r);

static Restarts *restarts_of(const Restart *r) {
        return r->container->object.manager->restarts;
}

static void set_phase(Restart *r, RestartPhase phase) {
        Restarts *all = restarts_of(r);

        all->n_busy += (phase != RESTART_IDLE) - (r->phase != RESTART_IDLE);
        r->phase = phase;
        if (phase != RESTART_JUDGING)
                r->question = system_question_free(r->question);
        if (phase == RESTART_IDLE && r->timer)
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

static void save_or_log(Restart *r, const RestartChange *change, bool wait) {
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *labels;

        labels = restart_change_labels(r->container, change);
        if (!labels)
                log_error_errno(-ENOMEM, "Failed to note the restart of container %s: %m",
                                r->container->object.name);
        else if (restart_save(r, labels, wait, &e) != 0)
                log_error("Failed to note the restart of container %s: %s",
                          r->container->object.name, error_text(&e));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        act(userdata);
        return 0;
}

static void schedule(Restart *r, RestartPhase phase, uint64_t usec) {
        int k;

        set_phase(r, phase);
        if (r->timer) {
                k = sd_event_source_set_time_relative(r->timer, usec);
                if (k >= 0)
                        k = sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        } else
                k = sd_event_add_time_relative(r->container->object.manager->event, &r->timer,
                                               CLOCK_MONOTONIC, usec, USEC_PER_MSEC, on_timer, r);
        if (k >= 0)
                return;
        log_error_errno(k, "Failed to schedule the restart of container %s: %m",
                        r->container->object.name);
        set_phase(r, RESTART_IDLE);
}

/* It ended, or could not even be made: what now? count: as it is to be written. */
static void decide(Restart *r, int64_t count) {
        const Container *c = r->container;
        uint64_t delay = restart_delay(&restarts_of(r)->times, r->failures);

        r->failures++;
        save_or_log(r, &(RestartChange){.explicitly_stopped = -1, .count = count}, false);
        if (!restart_wanted(c->labels, r->exit_status)) {
                set_phase(r, RESTART_IDLE);
                return;
        }
        log_info("Container %s ended with status %i, restarting it in %.1f s", c->object.name,
                 r->exit_status, (double) delay / USEC_PER_SEC);
        schedule(r, RESTART_WAITING, delay);
}

static void user_stopped(Restart *r, bool explicitly) {
        save_or_log(r,
                    &(RestartChange){
                                    .status = "stopped",
                                    .explicitly_stopped = explicitly,
                                    .count = -1,
                    },
                    true);
}

/* The exit of a task that is there, of a machine that stays up. */
static void judge(Restart *r) {
        const Task *t = r->container->task;
        const RestartTimes *times = &restarts_of(r)->times;
        uint64_t ran;
        bool own = r->attempt;

        r->exited = true;
        r->exit_status = t->process.exit_status;
        r->exited_at = t->process.exited_at;
        r->attempt = false;
        /* the clock may have been set meanwhile */
        ran = t->process.started_at > 0 && t->process.exited_at > t->process.started_at
                              ? t->process.exited_at - t->process.started_at
                              : 0;
        if (ran >= times->settled)
                r->failures = 0;
        /* whoever started it was told that it cannot be executed */
        if (t->process.terminated || (!t->process.ran && !own && t->process.exit_known)) {
                set_phase(r, RESTART_IDLE);
                user_stopped(r, t->process.terminated);
                return;
        }
        decide(r, ran >= times->healthy ? 0 : -1);
}

static void on_stopping(int stopping, void *userdata) {
        Restart *r = userdata;
        const Task *t = r->container->task;

        r->question = system_question_free(r->question);
        if (stopping > 0)
                log_info("The machine goes down: container %s is not restarted",
                         r->container->object.name);
        if (stopping > 0 || !t || t->process.status != TASK_STOPPED || t->process.deleting) {
                set_phase(r, RESTART_IDLE);
                return;
        }
        if (stopping < 0)
                log_debug_errno(stopping, "Failed to ask for the state of the system: %m");
        judge(r);
}

static void ask_and_judge(Restart *r) {
        int k;

        set_phase(r, RESTART_JUDGING);
        k = systemd_is_stopping(r->container->object.manager->systemd, on_stopping, r,
                                &r->question);
        if (k < 0)
                on_stopping(k, r);
}

/* A task could not be made, or its program not be started and nothing more is heard of it. */
static void attempt_failed(Restart *r, int code, const Error *e) {
        const Error plain = {.code = code};
        bool counted = r->attempt;

        if (!restart_labels_running(r->container->labels) || code == -ESHUTDOWN) {
                set_phase(r, RESTART_IDLE);
                return;
        }
        log_warning("Failed to restart container %s: %s", r->container->object.name,
                    error_text(e && e->code != 0 ? e : &plain));
        r->exited = true;
        r->exit_status = EXIT_STATUS_UNKNOWN;
        r->exited_at = now_realtime();
        r->attempt = false;
        decide(r, counted ? -1 : (int64_t) restart_labels_count(r->container->labels) + 1);
}

static void on_started(Object *o, int k, const Error *e, void *userdata) {
        Restart *r = userdata;

        /* its exit may have been told before */
        if (r->phase != RESTART_STARTING)
                return;
        if (k == 0)
                set_phase(r, RESTART_IDLE);
        /* a program that cannot be executed is an exit, which follows */
        else if (k != CTR_COMMAND_NOT_FOUND && k != CTR_COMMAND_NOT_EXECUTABLE)
                attempt_failed(r, k, e);
}

static void start_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        int k;

        set_phase(r, RESTART_STARTING);
        r->own = true;
        k = process_start(&r->container->task->process, on_started, r, &e);
        r->own = false;
        if (k != 0)
                attempt_failed(r, k, &e);
}

static void on_created(Object *o, int k, const Error *e, void *userdata) {
        Restart *r = userdata;

        if (k != 0)
                attempt_failed(r, k, e);
        /* the user may have changed his mind */
        else if (restart_labels_running(r->container->labels))
                start_task(r);
        else
                set_phase(r, RESTART_IDLE);
}

static void create_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        TaskRequest request = {};
        int k;

        set_phase(r, RESTART_CREATING);
        restart_streams(r, &request.streams);
        k = task_create(r->container, &request, on_created, r, &e);
        if (k != 0)
                attempt_failed(r, k, &e);
}

/* Told before the task is freed: a new one can be made in the loop's next turn. */
static void on_deleted(Object *o, int k, const Error *e, void *userdata) {
        Restart *r = userdata;

        if (k == 0)
                schedule(r, RESTART_DELETING, 0);
        else
                attempt_failed(r, k, e);
}

static void delete_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        int k;

        set_phase(r, RESTART_DELETING);
        r->own = true;
        k = process_delete(&r->container->task->process, true, on_deleted, r, &e);
        r->own = false;
        if (k != 0)
                attempt_failed(r, k, &e);
}

static void act(Restart *r) {
        if (!restart_wanted(r->container->labels, r->exited ? r->exit_status : -1))
                set_phase(r, RESTART_IDLE);
        else if (r->container->task)
                delete_task(r);
        else
                create_task(r);
}

/* There is a new task, and how the last one ended is over. A restart is counted here, where it is
 * known that there is one, and where a killed manager finds it. */
static int note_run(Restart *r, bool own, Error *e) {
        bool count = own && r->exited && !r->attempt;
        uint64_t n = restart_labels_count(r->container->labels);
        json_t *labels;

        r->attempt = own;
        r->exited = false;
        labels = restart_change_labels(r->container,
                                       &(RestartChange){
                                                       .explicitly_stopped = -1,
                                                       .count = count ? (int64_t) n + 1 : -1,
                                       });
        return labels ? restart_save(r, labels, false, e) : -ENOMEM;
}

/* A manager was killed between the creation of a task and its start. If it did not live to note the
 * creation, that is done now. */
static void finish_attempt(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (r->exited && note_run(r, true, &e) != 0)
                log_error("Failed to note the restart of container %s: %s",
                          r->container->object.name, error_text(&e));
        start_task(r);
}

/* What a start finds, or a change of what is wanted. */
static void reconcile(Restart *r) {
        const Task *t = r->container->task;
        uint64_t delay, due, now = now_realtime();

        if (r->phase != RESTART_IDLE || !restart_labels_running(r->container->labels))
                return;
        if (t && t->process.status == TASK_STOPPED && !r->exited)
                ask_and_judge(r);
        else if (t && t->process.status == TASK_CREATED && (r->attempt || r->exited))
                finish_attempt(r);
        else if ((!t || t->process.status == TASK_STOPPED) &&
                 restart_wanted(r->container->labels, r->exited ? r->exit_status : -1)) {
                delay = r->exited && r->failures > 0
                                        ? restart_delay(&restarts_of(r)->times, r->failures - 1)
                                        : 0;
                due = r->exited_at + delay;
                schedule(r, RESTART_WAITING, due > now ? MIN_OF(due - now, delay) : 0);
        }
}

/* A new task: what it needs to be made again is kept. */
static int attach(Task *t, Error *e) {
        Restart *r = t->container->restart;
        bool own = r->phase == RESTART_CREATING;

        if (!restart_labels_wanted(t->container->labels) || t->process.object.manager->recovering)
                return 0;
        for (unsigned i = 0; !own && i < 3; i++)
                if (free_and_strdup(&r->streams[i], process_stream(&t->process, i)) < 0)
                        return -ENOMEM;
        return note_run(r, own, e);
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
        ask_and_judge(r);
}

/* Deleting the task without a word to us: nothing is left to be restarted after it. */
static void detach(Task *t) {
        Restart *r = t->container->restart;

        if (r->phase == RESTART_JUDGING)
                set_phase(r, RESTART_IDLE);
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
        save_or_log(r, &(RestartChange){.status = "running", .explicitly_stopped = false}, true);
}

void restart_user_stops(Container *c) {
        Restart *r = c->restart;

        if (r->own || !restart_labels_wanted(c->labels))
                return;
        /* the others find out when they are called back */
        if (r->phase == RESTART_WAITING || r->phase == RESTART_JUDGING)
                set_phase(r, RESTART_IDLE);
        user_stopped(r, true);
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
                set_phase(r, RESTART_IDLE);
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
                        schedule(r, RESTART_WAITING, 0);
                else
                        reconcile(r);
        } else if (was_running && streq(strempty(status), "stopped"))
                stop_by_label(r);
        else if (r->phase == RESTART_WAITING && !restart_wanted(c->labels, r->exit_status))
                set_phase(r, RESTART_IDLE);
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
                reconcile(c->restart);
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
