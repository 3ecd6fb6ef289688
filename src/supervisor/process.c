/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/process.h"

#include "basic/clock.h"
#include "basic/log.h"

#define DRAIN_USEC (10 * USEC_PER_SEC)

/* Goes on with the end: first what passes through here, then the log programs. */
static void drain_advance(Process *p) {
        if (!p->draining || p->drained || !p->relay_drained)
                return;
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++)
                if (p->loggers[i])
                        logger_end(p->loggers[i]);
        if (!process_loggers_are_gone(p))
                return;
        timer_remove(&p->drain_timer);
        p->drained = true;
        p->on_drained(p->userdata);
}

static void on_relay_drained(void *userdata) {
        Process *p = userdata;

        p->relay = relay_free(p->relay);
        p->relay_drained = true;
        drain_advance(p);
}

static void on_logger_changed(void *userdata) {
        Process *p = userdata;

        drain_advance(p);
        if (p->on_loggers)
                p->on_loggers(p->userdata);
}

static void on_drain_timer(void *userdata) {
        Process *p = userdata;

        log_warning("Nobody reads the last output, dropping it");
        p->relay = relay_free(p->relay);
        p->relay_drained = true;
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++)
                if (p->loggers[i])
                        logger_end(p->loggers[i]);
        p->drained = true;
        p->on_drained(p->userdata);
}

void process_init(Process *p, Loop *loop, void (*on_loggers)(void *userdata),
                  void (*on_drained)(void *userdata), void *userdata) {
        *p = (Process){
                        .loop = loop,
                        .streams = STREAMS_INIT,
                        .drain_timer = {.elapse = on_drain_timer, .userdata = p},
                        .on_loggers = on_loggers,
                        .on_drained = on_drained,
                        .userdata = userdata,
        };
}

void process_clear(Process *p) {
        timer_remove(&p->drain_timer);
        p->relay = relay_free(p->relay);
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++)
                p->loggers[i] = logger_free(p->loggers[i]);
        streams_close(&p->streams);
        exit_record_clear(&p->record);
}

static bool needs_relay(const Process *p) {
        bool needed = p->terminal;

        for (size_t i = 0; i < ELEMENTSOF(p->streams.relay); i++)
                needed = needed || p->streams.relay[i] >= 0;
        return needed;
}

int process_open(Process *p, const StreamsParameters *parameters, int handed[static 3], Error *e) {
        int r;

        p->terminal = parameters->terminal;
        r = streams_open(parameters, handed, &p->streams, e);
        if (r != 0 || !needs_relay(p))
                return r;

        r = relay_new(p->loop, p->terminal, on_relay_drained, p, &p->relay);
        if (r >= 0 && p->terminal)
                r = relay_set_streams(p->relay, TAKE_FD(p->streams.fd[STDIN_FILENO]),
                                      TAKE_FD(p->streams.fd[STDOUT_FILENO]));
        else if (r >= 0)
                r = relay_set_pipes(p->relay, p->streams.relay);
        return r < 0 ? error_setf(e, r, "Failed to set up the streams: %m") : 0;
}

int process_spawn_loggers(Process *p, const TaskLaunch *launch, const StdioKind kinds[static 3],
                          char *const paths[static 3], const char *oom_score_adj, Error *e) {
        int *ends = p->streams.logger;

        for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
                bool both = i == STDOUT_FILENO && kinds[STDERR_FILENO] == STDIO_BINARY &&
                            streq_ptr(paths[STDOUT_FILENO], paths[STDERR_FILENO]);
                LoggerParameters parameters = {.uri = paths[i],
                                               .id = launch->id,
                                               .namespace = launch->namespace,
                                               .oom_score_adj = oom_score_adj,
                                               .changed = on_logger_changed,
                                               .userdata = p};
                int pipes[2] = {-1, -1}, r;

                if (kinds[i] != STDIO_BINARY || ends[i] < 0)
                        continue;
                pipes[i - 1] = TAKE_FD(ends[i]);
                if (both)
                        pipes[1] = TAKE_FD(ends[STDERR_FILENO]);
                r = logger_spawn(p->loop, &parameters, pipes, &p->loggers[i - 1], e);
                fd_close(pipes[0]);
                fd_close(pipes[1]);
                if (r != 0)
                        return r;
        }
        return 0;
}

int process_loggers_ready(const Process *p, Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++) {
                int r = p->loggers[i] ? logger_is_ready(p->loggers[i], e) : 1;

                if (r != 1)
                        return r;
        }
        return 1;
}

int process_wait_loggers(Process *p, uint64_t deadline, Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++) {
                int r = p->loggers[i] ? logger_wait_ready(p->loggers[i], deadline, e) : 0;

                if (r != 0)
                        return r;
        }
        return 0;
}

bool process_loggers_are_gone(const Process *p) {
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++)
                if (p->loggers[i] && !logger_is_gone(p->loggers[i]))
                        return false;
        return true;
}

bool process_owns(const Process *p, pid_t pid) {
        for (size_t i = 0; i < ELEMENTSOF(p->loggers); i++)
                if (p->loggers[i] && !logger_is_gone(p->loggers[i]) &&
                    logger_pid(p->loggers[i]) == pid)
                        return true;
        return false;
}

void process_close_program_ends(Process *p) {
        assert(!p->terminal);

        streams_close_program_ends(&p->streams);
}

int process_set_up(Process *p, int master, Error *e) {
        int r;

        if (p->terminal != (master >= 0)) {
                fd_close(master);
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The documents disagree about a terminal");
        }
        if (master < 0)
                return 0;
        r = relay_set_master(p->relay, master);
        return r < 0 ? error_setf(e, r, "Failed to set up the terminal: %m") : 0;
}

int process_attach(Process *p, unsigned streams, int *fds, size_t n_fds, Error *e) {
        if (!p->relay)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The streams are not connected to whoever attaches, or the "
                                  "process has exited");
        return relay_attach(p->relay, streams, fds, n_fds, e);
}

int process_resize(Process *p, int columns, int rows) {
        return p->relay && p->terminal ? relay_resize(p->relay, columns, rows) : 0;
}

void process_close_stdin(Process *p) {
        int *keeper = &p->streams.keeper[STDIN_FILENO];

        if (*keeper >= 0)
                /* the end comes when all writers are gone and what they wrote was read (D26) */
                *keeper = fd_close(*keeper);
        else if (p->relay)
                relay_close_input(p->relay);
}

void process_drain(Process *p) {
        assert(!p->draining);

        p->draining = true;
        streams_close_program_ends(&p->streams);
        loop_add_timer(p->loop, &p->drain_timer, now_monotonic() + DRAIN_USEC);
        if (p->relay)
                relay_drain(p->relay);
        else {
                p->relay_drained = true;
                drain_advance(p);
        }
}
