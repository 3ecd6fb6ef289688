/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/supervisor.h"

#include <signal.h>
#include <sys/signalfd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/process.h"

#define EMPTY_USEC          (10 * USEC_PER_SEC)
#define DRAIN_USEC          (10 * USEC_PER_SEC)
#define RECORD_RETRY_USEC   (500 * USEC_PER_MSEC)
#define RECORD_ATTEMPTS_MAX 120U

#define B(state) (1U << (state))

static const uint32_t state_next[_STATE_MAX] = {
                [STATE_WAITING] = B(STATE_CREATED) | B(STATE_DONE),     /* DONE: no GO, or FAILED */
                [STATE_CREATED] = B(STATE_RUNNING) | B(STATE_EMPTYING), /* stopped before START */
                [STATE_RUNNING] = B(STATE_EMPTYING),
                [STATE_EMPTYING] = B(STATE_DRAINING),
                [STATE_DRAINING] = B(STATE_RECORDING),
                [STATE_RECORDING] = B(STATE_DONE),
                [STATE_DONE] = 0,
};

const char *supervisor_state_to_string(SupervisorState state) {
        static const char *const names[_STATE_MAX] = {
                        [STATE_WAITING] = "waiting",  [STATE_CREATED] = "created",
                        [STATE_RUNNING] = "running",  [STATE_EMPTYING] = "stopped",
                        [STATE_DRAINING] = "stopped", [STATE_RECORDING] = "stopped",
                        [STATE_DONE] = "stopped",
        };

        return names[state];
}

void supervisor_set_state(Supervisor *s, SupervisorState state) {
        assert(state_next[s->state] & B(state));

        s->state = state;
        timer_remove(&s->deadline_timer);
        if (state == STATE_DONE)
                s->loop.finished = true;
}

/* A program that was OOM-killed is told of before it is told that it ended (D20). */
static void check_oom(Supervisor *s) {
        SupervisorMessage m = {.type = SUPERVISOR_OOM};
        uint64_t n = payload_oom_kills(s->payload);

        if (n <= s->oom_kills)
                return;
        s->oom_kills = n;
        s->record.oom_killed = true;
        connection_broadcast(&s->connections, &m);
}

static void push_exited(Supervisor *s) {
        SupervisorMessage m = {
                        .type = SUPERVISOR_EXITED,
                        .number = s->record.exit_status,
                        .pid = s->record.pid,
                        .usec = s->record.exited_at,
        };

        connection_broadcast(&s->connections, &m);
}

static void write_record(Supervisor *s) {
        int r;

        if (s->exit_unknown) {
                /* no record says just that */
                s->result = EXIT_FAILURE;
                supervisor_set_state(s, STATE_DONE);
                return;
        }

        r = exit_record_write(s->task_dir_fd, &s->record);
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
                                s->record.exit_status);
        } else
                push_exited(s);
        supervisor_set_state(s, STATE_DONE);
}

static void begin_recording(Supervisor *s) {
        supervisor_set_state(s, STATE_RECORDING);
        s->terminal = terminal_free(s->terminal);
        check_oom(s);
        write_record(s);
}

void supervisor_on_drained(void *userdata) {
        Supervisor *s = userdata;

        if (s->state == STATE_DRAINING)
                begin_recording(s);
}

static void begin_draining(Supervisor *s) {
        supervisor_set_state(s, STATE_DRAINING);
        if (!s->terminal) {
                begin_recording(s);
                return;
        }
        loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + DRAIN_USEC);
        terminal_drain(s->terminal);
}

/* Reaps everything but init, whose end is its pidfd's to tell. True if children are left. */
static bool reap_orphans(Supervisor *s) {
        for (;;) {
                siginfo_t si = {};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                        return errno != ECHILD;
                if (si.si_pid == 0 ||
                    (s->state < STATE_EMPTYING && si.si_pid == container_pid(s->container)))
                        return true;
                (void) waitid(P_PID, (id_t) si.si_pid, &si, WEXITED | WNOHANG);
        }
}

static void check_empty(Supervisor *s) {
        bool children = reap_orphans(s);
        int r;

        if (s->state != STATE_EMPTYING)
                return;
        r = payload_is_populated(s->payload);
        if (r < 0)
                log_warning_errno(r, "Failed to read the payload's state: %m");
        if (r > 0 || children)
                return;
        begin_draining(s);
}

void supervisor_on_events(void *userdata, short revents) {
        Supervisor *s = userdata;

        /* reading re-arms the descriptor, in every state */
        (void) payload_is_populated(s->payload);
        check_empty(s);
}

void supervisor_on_memory_events(void *userdata, short revents) {
        check_oom(userdata);
}

static void on_deadline(void *userdata) {
        Supervisor *s = userdata;

        switch (s->state) {
        case STATE_EMPTYING:
                log_warning("Processes of the payload survive SIGKILL, leaving them to systemd");
                begin_draining(s);
                break;
        case STATE_DRAINING:
                log_warning("Nobody reads the last output of the terminal, dropping it");
                begin_recording(s);
                break;
        case STATE_RECORDING:
                write_record(s);
                break;
        default:
                assert(false);
        }
}

void supervisor_kill_payload(Supervisor *s) {
        int r;

        r = payload_kill(s->payload);
        if (r >= 0)
                return;
        log_error_errno(r, "Failed to kill the payload, killing init alone: %m");
        r = pidfd_signal(container_pidfd(s->container), SIGKILL);
        if (r < 0 && r != -ESRCH)
                log_error_errno(r, "Failed to kill init: %m");
}

/* Init has ended: its status is what counts, whatever the rest does. */
void supervisor_on_init(void *userdata, short revents) {
        Supervisor *s = userdata;
        int r, status = EXIT_STATUS_UNKNOWN;

        source_remove(&s->init_source);
        timer_remove(&s->kill_timer);
        r = pidfd_wait(container_pidfd(s->container), &status);
        container_set_reaped(s->container);
        if (r < 0) {
                log_error_errno(r, "Failed to learn how init ended: %m");
                s->exit_unknown = true;
        }

        s->record.exit_status = status;
        s->record.exited_at = now_realtime();
        supervisor_set_state(s, STATE_EMPTYING);
        r = payload_kill(s->payload);
        if (r < 0)
                log_error_errno(r, "Failed to kill the rest of the payload: %m");
        loop_add_timer(&s->loop, &s->deadline_timer, now_monotonic() + EMPTY_USEC);
        check_empty(s);
}

static void on_kill_timer(void *userdata) {
        supervisor_kill_payload(userdata);
}

int supervisor_stop(Supervisor *s, int signo, uint64_t usec) {
        uint64_t now = now_monotonic(), at;
        int r;

        if (s->state == STATE_CREATED) {
                supervisor_kill_payload(s);
                return 0;
        }
        r = pidfd_signal(container_pidfd(s->container), signo);
        if (r < 0)
                return r;
        /* of several stops the earliest limit holds */
        at = usec > UINT64_MAX - now ? UINT64_MAX : now + usec;
        if (!s->kill_timer.loop || at < s->kill_timer.at)
                loop_add_timer(&s->loop, &s->kill_timer, at);
        return 0;
}

/* systemd stops the scope, or somebody signals this process by hand. */
static void stop_by_signal(Supervisor *s) {
        int r;

        if (s->state == STATE_WAITING)
                supervisor_set_state(s, STATE_DONE);
        else if (s->state < STATE_EMPTYING) {
                r = supervisor_stop(s, s->launch.stop_signal, s->launch.stop_timeout);
                if (r < 0 && r != -ESRCH)
                        log_warning_errno(r, "Failed to stop the task: %m");
        }
}

static void on_signal(void *userdata, short revents) {
        struct signalfd_siginfo si;
        Supervisor *s = userdata;

        if (read(s->signal_fd, &si, sizeof(si)) != sizeof(si))
                return;
        if (si.ssi_signo == SIGCHLD)
                check_empty(s);
        else
                stop_by_signal(s);
}

/* All signals are blocked but those that a fault raises: none shall end this process by accident.
 * The runtime gives init a clean mask. */
static int signals_block(void) {
        static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
        sigset_t blocked;

        if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
                return -errno;
        (void) sigfillset(&blocked);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                (void) sigdelset(&blocked, faults[i]);
        return sigprocmask(SIG_SETMASK, &blocked, NULL) < 0 ? -errno : 0;
}

/* The stop signal, too, asks for a stop: with it as KillSignal= of the scope systemd spares a
 * program a SIGTERM that means something else to it. */
static int signals_watch(Supervisor *s) {
        sigset_t wanted;

        (void) sigemptyset(&wanted);
        (void) sigaddset(&wanted, SIGCHLD);
        (void) sigaddset(&wanted, SIGTERM);
        (void) sigaddset(&wanted, SIGINT);
        (void) sigaddset(&wanted, s->launch.stop_signal);
        s->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
        if (s->signal_fd < 0)
                return -errno;
        s->signal_source = (Source){.fd = s->signal_fd,
                                    .events = POLLIN,
                                    .dispatch = on_signal,
                                    .userdata = s};
        return loop_add(&s->loop, &s->signal_source);
}

/* Nobody waits for the task any more, and it does not exist yet: nothing happened. */
static void on_connection_closed(void *userdata) {
        Supervisor *s = userdata;

        if (s->state == STATE_WAITING)
                supervisor_set_state(s, STATE_DONE);
}

static void push_failed(Supervisor *s, int r, const Error *e) {
        SupervisorMessage m = {.type = SUPERVISOR_FAILED};

        supervisor_message_set_error(&m, r, e);
        log_debug("Failed to prepare the task: %s", m.text);
        connection_broadcast(&s->connections, &m);
}

static void supervisor_clear(Supervisor *s) {
        int r;

        container_free(s->container);
        s->terminal = terminal_free(s->terminal);
        source_remove(&s->signal_source);
        source_remove(&s->init_source);
        source_remove(&s->events_source);
        source_remove(&s->memory_source);
        timer_remove(&s->kill_timer);
        timer_remove(&s->deadline_timer);
        if (s->payload) {
                r = payload_remove(s->payload);
                if (r < 0)
                        log_debug_errno(r, "Failed to remove the payload cgroup: %m");
                payload_free(s->payload);
        }
        if (s->connections.listen_fd >= 0)
                (void) unlinkat(s->task_dir_fd, SUPERVISOR_CONTROL_NAME, 0);
        connection_set_clear(&s->connections);
        loop_clear(&s->loop);
        streams_close(&s->streams);
        task_launch_clear(&s->launch);
        exit_record_clear(&s->record);
        fd_close(s->signal_fd);
        fd_close(s->task_dir_fd);
}

static int supervisor_launch(Supervisor *s, const char *task_dir, int handed[static 3], Error *e) {
        int r;

        r = signals_block();
        if (r < 0)
                return error_setf(e, r, "Failed to block signals: %m");
        r = supervisor_prepare(s, task_dir, handed, e);
        /* what no stream asked for is held no longer than what the program has got */
        for (size_t i = 0; i < 3; i++)
                handed[i] = fd_close(handed[i]);
        if (r != 0)
                return r;
        r = signals_watch(s);
        return r < 0 ? error_setf(e, r, "Failed to watch for signals: %m") : 0;
}

int supervisor_run(const char *task_dir, int launch_fd, int handed[static 3]) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor s = {
                        .state = STATE_WAITING,
                        .result = EXIT_SUCCESS,
                        .connections = {.loop = &s.loop,
                                        .listen_fd = -1,
                                        .request = supervisor_request,
                                        .closed = on_connection_closed,
                                        .userdata = &s},
                        .kill_timer = {.elapse = on_kill_timer, .userdata = &s},
                        .deadline_timer = {.elapse = on_deadline, .userdata = &s},
                        .task_dir_fd = -1,
                        .signal_fd = -1,
                        .streams = STREAMS_INIT,
        };
        int r;

        r = connection_add(&s.connections, launch_fd);
        if (r >= 0)
                r = supervisor_launch(&s, task_dir, handed, &e);
        if (r != 0) {
                s.result = EXIT_FAILURE;
                push_failed(&s, r, &e);
        } else {
                r = loop_run(&s.loop);
                if (r < 0) {
                        s.result = EXIT_FAILURE;
                        log_error_errno(r, "Failed to wait for events: %m");
                }
        }

        supervisor_clear(&s);
        return s.result;
}
