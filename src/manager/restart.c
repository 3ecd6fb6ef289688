/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is done about exits: the phases of a restart. Who calls for it is in restart-monitor.c. */

#include "manager/restart.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "manager/restart-internal.h"

static void act(Restart *r);

static Restarts *restarts_of(const Restart *r) {
        return r->container->object.manager->restarts;
}

void restart_set_phase(Restart *r, RestartPhase phase) {
        Restarts *all = restarts_of(r);

        all->n_busy += (phase != RESTART_IDLE) - (r->phase != RESTART_IDLE);
        r->phase = phase;
        if (phase != RESTART_JUDGING)
                r->question = system_question_free(r->question);
        if (phase == RESTART_IDLE && r->timer)
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        act(userdata);
        return 0;
}

void restart_schedule(Restart *r, RestartPhase phase, uint64_t usec) {
        int k;

        restart_set_phase(r, phase);
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
        restart_set_phase(r, RESTART_IDLE);
}

/* It ended, or could not even be made: what now? count: as it is to be written. */
static void decide(Restart *r, int64_t count) {
        const Container *c = r->container;
        uint64_t delay = restart_delay(&restarts_of(r)->times, r->failures);

        r->failures++;
        restart_save_or_log(r, &(RestartChange){.explicitly_stopped = -1, .count = count}, false);
        if (!restart_wanted(c->labels, r->exit_status)) {
                restart_set_phase(r, RESTART_IDLE);
                return;
        }
        log_info("Container %s ended with status %i, restarting it in %.1f s", c->object.name,
                 r->exit_status, (double) delay / USEC_PER_SEC);
        restart_schedule(r, RESTART_WAITING, delay);
}

void restart_note_stopped(Restart *r, bool explicitly) {
        restart_save_or_log(r,
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
        bool own = r->attempt, stopped = t->process.terminated || t->dump_exit;

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
        if (stopped || (!t->process.ran && !own && t->process.exit_known)) {
                restart_set_phase(r, RESTART_IDLE);
                restart_note_stopped(r, stopped);
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
                restart_set_phase(r, RESTART_IDLE);
                return;
        }
        if (stopping < 0)
                log_debug_errno(stopping, "Failed to ask for the state of the system: %m");
        judge(r);
}

void restart_ask_and_judge(Restart *r) {
        int k;

        restart_set_phase(r, RESTART_JUDGING);
        k = systemd_is_stopping(r->container->object.manager->systemd, on_stopping, r,
                                &r->question);
        if (k < 0)
                on_stopping(k, r);
}

/* A task could not be made, or its program not be started and nothing more is heard of it. */
static void attempt_failed(Restart *r, int code, const Error *e) {
        bool counted = r->attempt;

        if (!restart_labels_running(r->container->labels) || code == -ESHUTDOWN) {
                restart_set_phase(r, RESTART_IDLE);
                return;
        }
        log_warning("Failed to restart container %s: %s", r->container->object.name,
                    error_text_of(code, e));
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
                restart_set_phase(r, RESTART_IDLE);
        /* a program that cannot be executed is an exit, which follows */
        else if (k != CTR_COMMAND_NOT_FOUND && k != CTR_COMMAND_NOT_EXECUTABLE)
                attempt_failed(r, k, e);
}

static void start_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        int k;

        restart_set_phase(r, RESTART_STARTING);
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
                restart_set_phase(r, RESTART_IDLE);
}

static void create_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        TaskRequest request = {};
        int k;

        restart_set_phase(r, RESTART_CREATING);
        restart_streams(r, &request.streams);
        k = task_create(r->container, &request, on_created, r, &e);
        if (k != 0)
                attempt_failed(r, k, &e);
}

/* Told before the task is freed: a new one can be made in the loop's next turn. */
static void on_deleted(Object *o, int k, const Error *e, void *userdata) {
        Restart *r = userdata;

        if (k == 0)
                restart_schedule(r, RESTART_DELETING, 0);
        else
                attempt_failed(r, k, e);
}

static void delete_task(Restart *r) {
        _cleanup_error_ Error e = ERROR_NULL;
        int k;

        restart_set_phase(r, RESTART_DELETING);
        r->own = true;
        k = process_delete(&r->container->task->process, true, on_deleted, r, &e);
        r->own = false;
        if (k != 0)
                attempt_failed(r, k, &e);
}

static void act(Restart *r) {
        if (!restart_wanted(r->container->labels, r->exited ? r->exit_status : -1))
                restart_set_phase(r, RESTART_IDLE);
        else if (r->container->task)
                delete_task(r);
        else
                create_task(r);
}

int restart_note_run(Restart *r, bool own, Error *e) {
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

        if (r->exited && restart_note_run(r, true, &e) != 0)
                log_error("Failed to note the restart of container %s: %s",
                          r->container->object.name, error_text(&e));
        /* the former manager had come that far, and recovery waits for the answer */
        if (!r->container->task->process.starting)
                start_task(r);
}

void restart_reconcile(Restart *r) {
        const Task *t = r->container->task;
        uint64_t delay, due, now = now_realtime();

        if (r->phase != RESTART_IDLE || !restart_labels_running(r->container->labels))
                return;
        if (t && t->process.status == TASK_STOPPED && !r->exited)
                restart_ask_and_judge(r);
        else if (t && t->process.status == TASK_CREATED && (r->attempt || r->exited))
                finish_attempt(r);
        else if ((!t || t->process.status == TASK_STOPPED) &&
                 restart_wanted(r->container->labels, r->exited ? r->exit_status : -1)) {
                delay = r->exited && r->failures > 0
                                        ? restart_delay(&restarts_of(r)->times, r->failures - 1)
                                        : 0;
                due = r->exited_at + delay;
                restart_schedule(r, RESTART_WAITING, due > now ? MIN_OF(due - now, delay) : 0);
        }
}
