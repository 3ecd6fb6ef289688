/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/checkpoint.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/foreign.h"

#define STOP_HOOKS_USEC (30 * USEC_PER_SEC)

#define B(state) (1U << (state))

static const uint32_t state_next[_STATE_MAX] = {
                [STATE_WAITING] = B(STATE_CREATED) | B(STATE_DONE),     /* DONE: no GO, or FAILED */
                [STATE_CREATED] = B(STATE_RUNNING) | B(STATE_EMPTYING), /* stopped before START */
                [STATE_RUNNING] = B(STATE_EMPTYING),
                [STATE_EMPTYING] = B(STATE_DRAINING),
                [STATE_DRAINING] = B(STATE_RECORDING),
                [STATE_RECORDING] = B(STATE_FINISHING) | B(STATE_DONE), /* DONE: nothing true */
                [STATE_FINISHING] = B(STATE_DONE),
                [STATE_DONE] = 0,
};

const char *supervisor_state_to_string(SupervisorState state) {
        static const char *const names[_STATE_MAX] = {
                        [STATE_WAITING] = "waiting",   [STATE_CREATED] = "created",
                        [STATE_RUNNING] = "running",   [STATE_EMPTYING] = "stopped",
                        [STATE_DRAINING] = "stopped",  [STATE_RECORDING] = "stopped",
                        [STATE_FINISHING] = "stopped", [STATE_DONE] = "stopped",
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

void supervisor_on_events(void *userdata, short revents) {
        Supervisor *s = userdata;

        /* reading re-arms the descriptor, in every state */
        (void) payload_is_populated(s->payload);
        supervisor_check_frozen(s);
        supervisor_check_empty(s);
}

void supervisor_on_memory_events(void *userdata, short revents) {
        supervisor_check_oom(userdata);
}

void supervisor_kill_payload(Supervisor *s) {
        int r;

        r = payload_kill(s->payload);
        if (!s->container && s->state == STATE_CREATED) {
                /* nobody is there who could die of it */
                checkpoint_cancel_restore(s);
                supervisor_init_ended(s, 128 + SIGKILL);
                return;
        }
        if (r >= 0)
                return;
        log_error_errno(r, "Failed to kill the payload, killing init alone: %m");
        r = pidfd_signal(container_pidfd(s->container), SIGKILL);
        if (r < 0 && r != -ESRCH)
                log_error_errno(r, "Failed to kill init: %m");
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
        supervisor_thaw(s);
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
                s->init.record.terminated = true;
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
                supervisor_check_empty(s);
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

/* Nothing of the container is left, and nothing else is to be done here: they may be waited for. A
 * failure changes nothing (runtime.md, step 13). */
static void run_stop_hooks(Supervisor *s) {
        _cleanup_(hooks_freep) HooksRun *run = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        bool done = false;
        int r;

        r = container_hooks_begin(s->container, HOOK_POSTSTOP, STOP_HOOKS_USEC, &run, &e);
        while (r == 0 && run && !done) {
                struct pollfd p = {.fd = hooks_fd(run), .events = POLLIN};

                (void) poll(&p, 1, -1);
                r = hooks_receive(run, &done, &e);
        }
        if (r != 0)
                log_warning("%s", error_text_of(r, &e));
}

static void supervisor_clear(Supervisor *s) {
        int r;

        checkpoint_clear(s);
        execs_clear(s);
        source_remove(&s->start_source);
        hooks_free(s->hooks);
        if (s->container)
                container_kill(s->container);
        process_clear(&s->init);
        source_remove(&s->signal_source);
        source_remove(&s->init_source);
        source_remove(&s->events_source);
        source_remove(&s->memory_source);
        timer_remove(&s->kill_timer);
        timer_remove(&s->deadline_timer);
        timer_remove(&s->start_timer);
        timer_remove(&s->pause_timer);
        foreign_end(s);
        if (s->payload) {
                r = payload_remove(s->payload);
                if (r < 0)
                        log_debug_errno(r, "Failed to remove the payload cgroup: %m");
                payload_free(s->payload);
        }
        if (s->container)
                run_stop_hooks(s);
        container_free(s->container);
        foreign_free(s->foreign);
        if (s->connections.listen_fd >= 0)
                (void) unlinkat(s->task_dir_fd, SUPERVISOR_CONTROL_NAME, 0);
        connection_set_clear(&s->connections);
        loop_clear(&s->loop);
        task_launch_clear(&s->launch);
        for (size_t i = 0; i < ELEMENTSOF(s->stream_names); i++)
                free(s->stream_names[i]);
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
                        .deadline_timer = {.elapse = supervisor_on_deadline, .userdata = &s},
                        .start_timer = {.elapse = supervisor_on_start_timer, .userdata = &s},
                        .pause_timer = {.elapse = supervisor_on_pause_timer, .userdata = &s},
                        .task_dir_fd = -1,
                        .signal_fd = -1,
        };
        int r;

        process_init(&s.init, &s.loop, supervisor_on_loggers, supervisor_on_init_drained, &s);
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
