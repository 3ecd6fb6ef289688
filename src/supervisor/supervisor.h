/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The supervisor of one task: parent of the container's init, holder of its terminal, writer of its
 * exit record. One object, one process, one event loop; the states are walked in one direction:
 *
 *   WAITING    init is cloned and builds its mounts; GO has not come
 *   CREATED    init is set up in the payload cgroup and blocked; depends on nobody from here on
 *   RUNNING    START came: the user's program was executed, or could not be
 *   EMPTYING   init is reaped; what is left of the payload is being killed
 *   DRAINING   nothing runs any more; the terminal's last output is being delivered
 *   RECORDING  the exit record is being written, again if need be
 *   DONE       leave the loop
 *
 * Invariant: a supervisor that has reached CREATED ends only after exit.json was written; when that
 * cannot be done it says so in the journal, and no other file pretends to be one.
 */

#include "runtime/container.h"
#include "supervisor/connection.h"
#include "supervisor/loop.h"
#include "supervisor/payload.h"
#include "supervisor/record.h"
#include "supervisor/streams.h"
#include "supervisor/terminal.h"

typedef enum SupervisorState {
        STATE_WAITING,
        STATE_CREATED,
        STATE_RUNNING,
        STATE_EMPTYING,
        STATE_DRAINING,
        STATE_RECORDING,
        STATE_DONE,
        _STATE_MAX,
} SupervisorState;

typedef struct Supervisor {
        SupervisorState state;
        int result; /* exit status of this process */

        Loop loop;
        ConnectionSet connections;
        Source signal_source, init_source, events_source, memory_source;
        Timer kill_timer;     /* the time limit of a stop */
        Timer deadline_timer; /* of the present step on the way out */

        TaskLaunch launch;
        int task_dir_fd;
        int signal_fd;
        Streams streams;

        Container *container;
        Payload *payload;
        Terminal *terminal;

        ExitRecord record;
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

/* The one function that changes the state. */
void supervisor_set_state(Supervisor *s, SupervisorState state);

const char *supervisor_state_to_string(SupervisorState state) _const_;

/* Sends signo to init and, usec later (UINT64_MAX: never), SIGKILL to the whole payload. Before
 * START nobody is there who could take the signal: SIGKILL at once. 0, or -ESRCH. */
int supervisor_stop(Supervisor *s, int signo, uint64_t usec);

/* SIGKILL to everything in the payload. */
void supervisor_kill_payload(Supervisor *s);

/* Answers one request (request.c). */
void supervisor_request(void *userdata, const SupervisorMessage *m, SupervisorMessage *reply);

/* Event handlers that setup.c installs. */
void supervisor_on_init(void *userdata, short revents);
void supervisor_on_events(void *userdata, short revents);
void supervisor_on_memory_events(void *userdata, short revents);
void supervisor_on_drained(void *userdata);
