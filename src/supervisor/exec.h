/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Further processes of a task. Each walks in one direction:
 *
 *   ADDED      its id is taken, its streams are open, clients may attach; nothing runs
 *   STARTING   waits for its log programs, then for runtime/exec.h
 *   RUNNING    the program runs
 *   DRAINING   it has ended: its last output is being delivered
 *   RECORDING  its record is being written, again if need be
 *   ENDED      all has been told; kept until it is deleted
 *
 * One that cannot be executed goes on from STARTING to DRAINING. One that is never started has no
 * record and vanishes with the task.
 *
 * Invariant: nothing here waits, an exec is reaped as soon as it is dead (an init with a pid
 * namespace of its own cannot end before), and its end is told after its record was written and
 * before init's (D10).
 */

#include "runtime/exec.h"
#include "supervisor/connection.h"
#include "supervisor/process.h"

struct Supervisor;

typedef enum ExecState {
        EXEC_ADDED,
        EXEC_STARTING,
        EXEC_RUNNING,
        EXEC_DRAINING,
        EXEC_RECORDING,
        EXEC_ENDED,
        _EXEC_STATE_MAX,
} ExecState;

typedef struct Exec Exec;

struct Exec {
        struct Supervisor *supervisor;
        Exec *next;
        char *id;
        ExecState state;
        Process process;
        ContainerExec *starting;
        struct ForeignRun *run; /* in its place, where the container is another runtime's */
        int pidfd;
        Source source; /* of starting or run, then of pidfd */
        Timer timer;   /* the time limit of STARTING, the next attempt of RECORDING */
        Reply reply;   /* to EXEC_START */
        unsigned record_attempts;
};

const char *exec_state_to_string(ExecState state) _const_;

/* NULL if there is none of this name. */
Exec *exec_find(struct Supervisor *s, const char *id);

/* Reserves id and opens the streams of its document; takes from fds what they ask for.
 * CTR_ALREADY_EXISTS, CTR_RESOURCE_EXHAUSTED. */
int exec_add(struct Supervisor *s, const char *id, int fds[static SUPERVISOR_MESSAGE_FDS_MAX],
             Error *e);

/* Starts one that is ADDED; x->reply tells the outcome. One that cannot be executed has then ended
 * with 127, 126 or 125. */
void exec_start(Exec *x);

/* Whether something of it may still run. */
bool exec_is_alive(const Exec *x) _pure_;

/* The task ends: those that are being started are given up. */
void execs_abort(struct Supervisor *s);

/* Whether none is on its way from STARTING to ENDED; and whether none has yet to be reaped. */
bool execs_are_settled(const struct Supervisor *s) _pure_;
bool execs_are_reaped(const struct Supervisor *s) _pure_;

/* Whether pid is a child that is reaped here; one that is dead and can be reaped is. */
bool execs_own(struct Supervisor *s, pid_t pid);

/* Removes its files and frees it. Not one that is alive or not settled. */
void exec_delete(Exec *x);

/* Frees all of them; what still runs is killed. */
void execs_clear(struct Supervisor *s);
