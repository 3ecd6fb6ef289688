/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A process that can be waited for, signalled and deleted: the init of a task, or one of its execs
 * (manager/task.h, manager/exec.h). Both are shown with the same interface, and embed this head;
 * everything that can be asked of either is here.
 *
 * Invariant: process_set_status() alone changes a status, by one table of edges; STOPPED is the
 * last, and how it ended is told once.
 */

#include <systemd/sd-event.h>

#include "manager/object.h"
#include "supervisor/record.h"

typedef enum TaskStatus {
        TASK_UNKNOWN,
        TASK_CREATED,
        TASK_RUNNING,
        TASK_PAUSING,
        TASK_PAUSED,
        TASK_STOPPED,
        _TASK_STATUS_MAX,
} TaskStatus;

/* "CREATED" ...; never NULL. */
const char *task_status_to_string(TaskStatus s) _const_;

typedef struct Operation Operation;

typedef struct Process {
        Object object;     /* OBJECT_TASK, or OBJECT_EXEC with the name "ID/EXEC" */
        TaskStatus status; /* what clients see of an exec is process_status() */
        pid_t pid;         /* while it lives */
        bool terminal;
        bool starting, deleting;
        char *streams[3]; /* how they are connected, see process_stream() */
        uint64_t started_at;
        uint64_t run; /* tells this use of the id from others: the time of its creation, as stored
                       * with it, so that a restarted manager finds the same */
        bool ran;     /* its program was executed: there was no error of START, in its record
                       * either */
        unsigned events; /* the steps that were noted, see manager/event.h */

        /* when STOPPED */
        int exit_status;
        bool exit_known;
        uint64_t exited_at;
        pid_t exit_pid;
        bool exit_told;  /* to the observer, by this manager or a former one */
        bool terminated; /* somebody stopped its unit, see supervisor/record.h */

        Waiter *exit_waiters;
        Waiter *delete_waiters;
        Operation *operations; /* requests on their way to the supervisor */
        sd_event_source *schedule_source;
} Process;

static inline Process *PROCESS(Object *o) {
        assert(!o || o->type == OBJECT_TASK || o->type == OBJECT_EXEC);
        return (Process *) o;
}

/* The task that it belongs to: itself, if it is one. Never NULL. */
struct Task *process_task(const Process *p) _pure_;

/* "" for init. Never NULL. */
const char *process_exec_id(const Process *p) _pure_;

/* An exec that has not stopped is PAUSED or PAUSING while its container is (D17). */
TaskStatus process_status(const Process *p) _pure_;

/* How stream i is connected: "fd", "null", "journal", "attach", "fifo:/path", "file:/path" or the
 * URI of a logger. Never NULL. */
const char *process_stream(const Process *p, unsigned i) _pure_;

/* The same as a new string that may be shown to everybody: of a logger the program, not its
 * arguments, which may hold secrets. NULL without memory. */
char *process_stream_public(const Process *p, unsigned i);

/* How the caller wants the streams of a process that is to be made. */
typedef struct StreamsRequest {
        StdioKind kind[3];
        const char *path[3]; /* for fifo, file; the whole URI for binary */
        int fd[3];           /* for STDIO_FD; stays the caller's, duplicated */
} StreamsRequest;

#define STREAMS_NULL ((StreamsRequest){.fd = {-1, -1, -1}})

/* Runs the program. CTR_FAILED_PRECONDITION unless CREATED, and for an exec unless its container
 * runs or is created; CTR_COMMAND_NOT_FOUND and CTR_COMMAND_NOT_EXECUTABLE if it cannot be executed
 * (the process is STOPPED then, with 127, 126). */
int process_start(Process *p, Callback callback, void *userdata, Error *e);

/* Answered when STOPPED, from the event loop if it is already. */
int process_wait(Process *p, Callback callback, void *userdata, Error *e);

typedef enum ProcessKillFlags {
        PROCESS_KILL_ALL = 1 << 0, /* every process of the container; ignored for an exec */
} ProcessKillFlags;

/* CTR_NOT_FOUND if it has exited (D6), CTR_FAILED_PRECONDITION for an exec that was not started
 * (D7). signo 0 probes. */
int process_kill(Process *p, int signo, ProcessKillFlags flags, Callback callback, void *userdata,
                 Error *e);

/* Some process of the container, by its pid on the host. */
int process_kill_pid(Process *p, int signo, pid_t pid, Callback callback, void *userdata, Error *e);

/* Success without effect if there is no terminal (D25). */
int process_resize(Process *p, unsigned width, unsigned height, Callback callback, void *userdata,
                   Error *e);
int process_close_stdin(Process *p, Callback callback, void *userdata, Error *e);

/* Connects descriptors (-1: not this stream), which stay the caller's, to the process's streams.
 * CTR_FAILED_PRECONDITION if one of them does not pass through the supervisor. */
int process_attach(Process *p, const int fds[static 3], Callback callback, void *userdata,
                   Error *e);

/* CREATED or STOPPED, or any state with force, a task also while it is being created.
 * callback(process) just before it is gone: the exit fields say how it ended. */
int process_delete(Process *p, bool force, Callback callback, void *userdata, Error *e);

/* CTR_FAILED_PRECONDITION: "Task "x" is PAUSED: <before>paused<after>" (D2). */
int process_wrong_state(const Process *p, const char *before, const char *after, Error *e);

/* CTR_NOT_FOUND: it has exited (D6). */
int process_already_exited(const Process *p, Error *e);

/* Whether a request about p failed (r, of its return or of its callback) because the supervisor had
 * ended in that moment, and p with it: p is STOPPED then. Who answers a client says that, and not
 * who could not be asked. */
bool process_ended_meanwhile(Process *p, int r);
