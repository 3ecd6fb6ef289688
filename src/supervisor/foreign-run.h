/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One run of another OCI runtime's command line ("crun --root ... start ID"), watched like any
 * other child. What it says is read from the log that it writes, what it leaves to us from its pid
 * file and its console socket: files in the directory of ForeignPlace that are named after the run.
 *
 * Invariant: nothing here waits but for who was killed, and nothing that the runtime writes is
 * believed further than it was checked: the process that it names is a child of ours in the
 * payload, its terminal is one.
 */

#include "runtime/helper.h"

typedef struct ForeignRun ForeignRun;

/* Where the runs of a task's runtime happen. */
typedef struct ForeignPlace {
        char *program; /* the runtime, an absolute path */
        char *id;      /* what it calls the container */
        char *bundle;  /* absolute path of the directory that is its own: documents, state, logs */
        int bundle_fd;
        int cgroup_fd;             /* they run in this cgroup; -1: where the caller is */
        const char *oom_score_adj; /* what they get instead of ours; "": ours */
} ForeignPlace;

typedef struct ForeignCommand {
        const char *verb;    /* "create", "start", "exec", "delete" */
        const char *exec_id; /* of "exec" */
        bool terminal;       /* a console socket is waiting for its terminal */
        const int *stdio;    /* three descriptors, -1: /dev/null; NULL: three times that */
        /* Called in the clone, in the directory that it was cloned in; may be NULL. */
        int (*prepare)(void *userdata, Error *e);
        void *userdata;
} ForeignCommand;

/* What "create" and "exec" leave to us. The descriptors are the receiver's. */
typedef struct ForeignProcess {
        pid_t pid;
        int pidfd;
        int terminal_fd; /* -1: none */
} ForeignProcess;

/* Starts one; the command's strings and descriptors may go then, the place must stay. */
int foreign_run_new(const ForeignPlace *place, const ForeignCommand *command, ForeignRun **ret,
                    Error *e);

/* Of one that is no success: kills it if it still runs. Then it is known what it has left that
 * nobody has taken, if anything: that pid, which was not checked, or 0. */
pid_t foreign_run_abort(ForeignRun *run);
/* Whether that would be of one that is. */
bool foreign_run_is_taken(const ForeignRun *run) _pure_;

/* Kills it if it still runs, and removes its files. */
ForeignRun *foreign_run_free(ForeignRun *run);
DEFINE_CLEANUP(ForeignRun *, foreign_run_free);

/* Readable when it is over. */
int foreign_run_fd(const ForeignRun *run) _pure_;
pid_t foreign_run_pid(const ForeignRun *run) _pure_;

/* Waits for its end, at most until deadline (CLOCK_MONOTONIC usec; 0: only looks). 1 if it is over,
 * 0 if it is not. */
int foreign_run_wait(const ForeignRun *run, uint64_t deadline);

/* Reaps it. 0, with the process in *ret (which may be NULL for a verb that leaves none); or the
 * error that it logged: CTR_COMMAND_NOT_FOUND, CTR_COMMAND_NOT_EXECUTABLE, or CTR_UNKNOWN. */
int foreign_run_finish(ForeignRun *run, ForeignProcess *ret, Error *e);
