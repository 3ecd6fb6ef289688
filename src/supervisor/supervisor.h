/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The supervisor of one task: parent of the container's init and of its execs, holder of their
 * terminals, writer of their exit records. One object, one process, one event loop; the states are
 * walked in one direction:
 *
 *   WAITING    init is cloned and builds its mounts; GO has not come
 *   CREATED    init is set up in the payload cgroup and blocked; depends on nobody from here on
 *   RUNNING    START came: the user's program is being executed, was, or could not be
 *   EMPTYING   init is reaped; what is left of the payload is being killed, execs among it
 *   DRAINING   nothing runs any more; the last output is being delivered, execs' ends are recorded
 *   RECORDING  the exit record is being written, again if need be
 *   FINISHING  it is written and told; log programs come to their ends
 *   DONE       leave the loop
 *
 * CREATED and RUNNING may be frozen (FreezeState), execs have states of their own (exec.h).
 *
 * Invariant: a supervisor that has reached CREATED ends only after exit.json was written; when that
 * cannot be done it says so in the journal, and no other file pretends to be one.
 */

#include "runtime/container.h"
#include "supervisor/connection.h"
#include "supervisor/exec.h"
#include "supervisor/loop.h"
#include "supervisor/payload.h"
#include "supervisor/process.h"
#include "supervisor/record.h"

typedef enum SupervisorState {
        STATE_WAITING,
        STATE_CREATED,
        STATE_RUNNING,
        STATE_EMPTYING,
        STATE_DRAINING,
        STATE_RECORDING,
        STATE_FINISHING,
        STATE_DONE,
        _STATE_MAX,
} SupervisorState;

/* Of the payload, by request: what systemd freezes is not ours to tell. */
typedef enum FreezeState {
        FREEZE_NONE,
        FREEZE_PENDING,
        FREEZE_DONE,
} FreezeState;

typedef struct Checkpoint Checkpoint;
typedef struct Foreign Foreign;

typedef struct Supervisor {
        SupervisorState state;
        FreezeState freeze;
        int result; /* exit status of this process */

        Loop loop;
        ConnectionSet connections;
        Source signal_source, init_source, start_source, events_source, memory_source;
        Timer kill_timer;     /* the time limit of a stop */
        Timer deadline_timer; /* of the present step on the way out */
        Timer start_timer, pause_timer;
        uint64_t pause_deadline, pause_interval; /* when to give up, and when to look again */
        Reply start_reply, pause_reply;

        TaskLaunch launch;
        const char *task_dir; /* as it was given to the program */
        int task_dir_fd;
        int signal_fd;
        char oom_score_adj[8]; /* what we had before we were protected; "" if that did not work */

        Container *container;   /* NULL: to be restored at START */
        Foreign *foreign;       /* the other runtime that made it; NULL: we did */
        HooksRun *hooks;        /* those of a start, while they run */
        Checkpoint *checkpoint; /* while one is made or restored */
        char *stream_names[3];  /* for a checkpoint: init's standard streams, all of the host */
        Payload *payload;
        Process init;
        Exec *execs;
        size_t n_execs;

        bool exit_unknown; /* init could not be reaped: there is nothing true to record */
        uint64_t oom_kills;
        unsigned record_attempts;
} Supervisor;

/* Runs a supervisor from its start to its end. task_dir: the task's directory; launch_fd: the
 * connection that GO comes over; handed: descriptors for STDIO_FD. Takes all of them. Returns the
 * exit status of the process: 0 unless the task could not be made or recorded. */
int supervisor_run(const char *task_dir, int launch_fd, int handed[static 3]);

/* The steps of a launch (setup.c). prepare: everything that needs no cgroup, up to the cloned init;
 * enter: the cgroups, the control socket, init into its place. */
int supervisor_prepare(Supervisor *s, const char *task_dir, int handed[static 3], Error *e);
int supervisor_enter(Supervisor *s, Error *e);

/* Waits for init's end. 0 or -ENOMEM. */
int supervisor_watch_init(Supervisor *s);

/* The one function that changes the state. */
void supervisor_set_state(Supervisor *s, SupervisorState state);

const char *supervisor_state_to_string(SupervisorState state) _const_;

/* Init has ended, whatever is left to be done. */
static inline bool supervisor_has_exited(const Supervisor *s) {
        return s->state >= STATE_EMPTYING;
}

/* The SYSLOG_IDENTIFIER of the journal's lines. */
static inline const char *supervisor_log_identifier(const Supervisor *s) {
        return s->launch.log_identifier ? s->launch.log_identifier : s->launch.id;
}

/* Sends signo to init and, usec later (UINT64_MAX: never), SIGKILL to the whole payload; thaws it
 * first. Before START nobody is there who could take the signal: SIGKILL at once. 0, or -ESRCH. */
int supervisor_stop(Supervisor *s, int signo, uint64_t usec);

/* SIGKILL to everything in the payload. */
void supervisor_kill_payload(Supervisor *s);

/* start.c: runs the user's program; s->start_reply tells the outcome. finish: init has ended,
 * nothing more is to be waited for. */
void supervisor_start(Supervisor *s);
bool supervisor_is_starting(const Supervisor *s) _pure_;
void supervisor_finish_start(Supervisor *s);

/* pause.c: freezes; s->pause_reply tells when it is done, see supervisor_check_frozen(). */
int supervisor_pause(Supervisor *s, Error *e);
int supervisor_resume(Supervisor *s, Error *e);
/* Lets the payload go on if it is frozen; whoever waits for that is told why not. */
void supervisor_thaw(Supervisor *s);
void supervisor_check_frozen(Supervisor *s);
void supervisor_on_pause_timer(void *userdata);
void supervisor_on_start_timer(void *userdata);

/* exit.c: the way out. check_empty reaps and goes on if all is over; check_execs goes on if this
 * was the last one that had to be told of. */
void supervisor_check_empty(Supervisor *s);
void supervisor_check_execs(Supervisor *s);
void supervisor_check_oom(Supervisor *s);
void supervisor_on_init(void *userdata, short revents);
/* Init has ended, or there will never be one. */
void supervisor_init_ended(Supervisor *s, int status);
void supervisor_on_deadline(void *userdata);
void supervisor_on_init_drained(void *userdata);
void supervisor_on_loggers(void *userdata);

/* request.c: answers one request, now or later. */
void supervisor_request(void *userdata, Request *q);

/* Event handlers that setup.c installs. */
void supervisor_on_events(void *userdata, short revents);
void supervisor_on_memory_events(void *userdata, short revents);
