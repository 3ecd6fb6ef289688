/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way out of a task, from init's end to the end of this process. Invariant: each step has a
 * time limit, and after it the next one comes all the same; the exit record is written before
 * anybody is told, and after every exec's end was (D10).
 */

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/checkpoint.h"
#include "supervisor/foreign.h"

#define EMPTY_USEC          (10 * USEC_PER_SEC)
#define SETTLE_USEC         (15 * USEC_PER_SEC) /* a little more than draining takes */
#define FINISH_USEC         (30 * USEC_PER_SEC)
#define RECORD_RETRY_USEC   (500 * USEC_PER_MSEC)
#define RECORD_ATTEMPTS_MAX 120U
#define REAP_MAX            1000U

/* A program that was OOM-killed is told of before it is told that it ended (D20). */
void supervisor_check_oom(Supervisor *s) {
        SupervisorMessage m = {.type = SUPERVISOR_OOM};
        uint64_t n = payload_oom_kills(s->payload);
        _cleanup_free_ char *cgroup = NULL;

        if (n <= s->oom_kills)
                return;
        s->oom_kills = n;
        s->init.record.oom_killed = true;
        if (payload_oom_cgroup(s->payload, &cgroup) >= 0) {
                (void) snprintf(m.text, sizeof(m.text), "%s", cgroup);
                free(s->init.record.oom_cgroup);
                s->init.record.oom_cgroup = isempty(cgroup) ? NULL : TAKE_PTR(cgroup);
        }
        connection_broadcast(&s->connections, &m);
}

static void push_exited(Supervisor *s) {
        SupervisorMessage m = {
                        .type = SUPERVISOR_EXITED,
                        .number = s->init.record.exit_status,
                        .pid = s->init.record.pid,
                        .usec = s->init.record.exited_at,
        };

        connection_broadcast(&s->connections, &m);
}

static bool loggers_are_gone(const Supervisor *s) {
        for (const Exec *x = s->execs; x; x = x->next)
                if (!process_loggers_are_gone(&x->process))
                        return false;
        return process_loggers_are_gone(&s->init);
}

static void check_finished(Supervisor *s) {
        if (s->state == STATE_FINISHING && loggers_are_gone(s))
                supervisor_set_state(s, STATE_DONE);
}

static void begin_finishing(Supervisor *s) {
        supervisor_set_state(s, STATE_FINISHING);
        loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + FINISH_USEC);
        check_finished(s);
}

static void write_record(Supervisor *s) {
        int r;

        if (s->exit_unknown) {
                /* no record says just that */
                s->result = EXIT_FAILURE;
                supervisor_set_state(s, STATE_DONE);
                return;
        }

        r = exit_record_write(s->task_dir_fd, &s->init.record);
        if (r < 0 && ++s->record_attempts < RECORD_ATTEMPTS_MAX) {
                /* /run is full, most likely: nothing is worth more than this record */
                if (s->record_attempts == 1)
                        log_error_errno(r, "Failed to write the exit record, trying again: %m");
                loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + RECORD_RETRY_USEC);
                return;
        }
        if (r < 0) {
                s->result = EXIT_FAILURE;
                log_error_errno(r, "Failed to write the exit record, status %i is lost: %m",
                                s->init.record.exit_status);
        } else
                push_exited(s);
        begin_finishing(s);
}

static void begin_recording(Supervisor *s) {
        supervisor_set_state(s, STATE_RECORDING);
        supervisor_check_oom(s);
        write_record(s);
}

void supervisor_check_execs(Supervisor *s) {
        if (s->state == STATE_DRAINING && s->init.drained && execs_are_settled(s))
                begin_recording(s);
}

void supervisor_on_init_drained(void *userdata) {
        supervisor_check_execs(userdata);
}

void supervisor_on_loggers(void *userdata) {
        Supervisor *s = userdata;

        /* one that was dead may have hidden others that are */
        supervisor_check_empty(s);
        check_finished(s);
}

static void begin_draining(Supervisor *s) {
        supervisor_set_state(s, STATE_DRAINING);
        loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + SETTLE_USEC);
        process_drain(&s->init);
}

static bool is_known_child(Supervisor *s, pid_t pid) {
        if (!supervisor_has_exited(s) && s->container && pid == container_pid(s->container))
                return true;
        return checkpoint_owns(s, pid) || foreign_owns(s, pid) || process_owns(&s->init, pid) ||
               execs_own(s, pid);
}

/* Reaps everything but those whose end a pidfd tells. True if children are left. */
static bool reap_orphans(Supervisor *s) {
        for (unsigned i = 0; i < REAP_MAX; i++) {
                siginfo_t si = {};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                        return errno != ECHILD;
                /* a known one hides the others until its turn, after which we are called again */
                if (si.si_pid == 0 || is_known_child(s, si.si_pid))
                        return true;
                (void) waitid(P_PID, (id_t) si.si_pid, &si, WEXITED | WNOHANG);
        }
        /* the others have their turn, too */
        (void) kill(getpid(), SIGCHLD);
        return true;
}

void supervisor_check_empty(Supervisor *s) {
        bool children;
        int r;

        if (s->state == STATE_WAITING)
                return;
        children = reap_orphans(s);
        if (s->state != STATE_EMPTYING)
                return;
        r = payload_is_populated(s->payload);
        if (r < 0)
                log_warning_errno(r, "Failed to read the payload's state: %m");
        /* log programs are children, too, and run on */
        if (r > 0 || !execs_are_reaped(s) || (children && loggers_are_gone(s)))
                return;
        begin_draining(s);
}

void supervisor_on_deadline(void *userdata) {
        Supervisor *s = userdata;

        switch (s->state) {
        case STATE_EMPTYING:
                log_warning("Processes of the payload survive SIGKILL, leaving them to systemd");
                begin_draining(s);
                break;
        case STATE_DRAINING:
                log_warning("Execs have not come to their end in time, leaving them");
                begin_recording(s);
                break;
        case STATE_RECORDING:
                write_record(s);
                break;
        case STATE_FINISHING:
                log_warning("Log programs survive SIGKILL, leaving them to systemd");
                supervisor_set_state(s, STATE_DONE);
                break;
        default:
                assert(false);
        }
}

/* Its status is what counts, whatever the rest does. */
void supervisor_init_ended(Supervisor *s, int status) {
        int r;

        s->init.record.exit_status = status;
        s->init.record.exited_at = now_realtime();
        supervisor_set_state(s, STATE_EMPTYING);
        r = payload_kill(s->payload);
        if (r < 0)
                log_error_errno(r, "Failed to kill the rest of the payload: %m");
        supervisor_thaw(s);
        loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + EMPTY_USEC);
        execs_abort(s);
        supervisor_check_empty(s);
}

void supervisor_on_init(void *userdata, short revents) {
        Supervisor *s = userdata;
        int r, status = EXIT_STATUS_UNKNOWN;

        if (foreign_is_starting(s->foreign)) {
                /* a short program, most likely: the runtime has yet to say how the start went */
                s->init_source.events = 0;
                return;
        }
        supervisor_finish_start(s);
        source_remove(&s->init_source);
        timer_remove(&s->kill_timer);
        r = pidfd_wait(container_pidfd(s->container), &status);
        container_set_reaped(s->container);
        if (r < 0) {
                log_error_errno(r, "Failed to learn how init ended: %m");
                s->exit_unknown = true;
        }
        supervisor_init_ended(s, status);
}
