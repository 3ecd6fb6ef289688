/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a task and an exec have in common, for those who make, ask and find them: the state
 * (process.c) and requests to the supervisor (process-operations.c). */

#include <jansson.h>

#include "manager/process.h"
#include "manager/supervisor.h"

/* The files with what the manager alone knows: times, whether an exec removes itself, and what has
 * to come after a checkpoint that is being made. */
#define TASK_FILE_STATE        "state.json"
#define TASK_FILE_STATE_PREFIX "state-" /* + exec id + ".json" */
#define TASK_STATE_MAX         32768U

/* Initialises the head, in status UNKNOWN. 0 or negative errno; process_done() in both cases. */
int process_init(Process *p, Manager *m, ObjectType type, const char *namespace, const char *name);
void process_done(Process *p);

/* The one place that changes a status: checks the edge, saves, marks dirty, tells of it. pid, ran
 * and the exit fields are set before. An edge that is not there is logged and changes nothing. */
void process_set_status(Process *p, TaskStatus status);

/* How it ended, once: what its record says, or that nobody knows. Takes the steps to STOPPED. */
void process_stopped_by_record(Process *p, const ExitRecord *record);
void process_stopped_unknown(Process *p);

/* Remembers how the streams are connected. 0 or -ENOMEM. */
int process_set_streams(Process *p, const StdioKind kinds[static 3],
                        const char *const paths[static 3]);

/* From the event loop, once: answers waiters of a stopped process, goes on with a deletion. */
int process_schedule(Process *p);

/* Gives its document, just written, the time of now: the kernel's own stamp is that of the last
 * tick, and so before a client that looked at the clock and then asked. Failing that, the tick
 * stays. */
void process_stamp_document(Process *p);

/* Notes the time of creation if it is not known: that of its document, so that it is found again
 * even if what was saved is lost. */
void process_stamp(Process *p);

/* What the manager alone knows, in the task's directory. A damaged file is set aside. */
int process_save(Process *p);
void process_load(Process *p);

/* Renames a damaged document of the task to "NAME.damaged", and says so. */
void process_set_aside(Process *p, const char *name, const Error *e);

/* A request on its way to the supervisor and who waits for it. */
struct Operation {
        Process *process;
        Operation *next;
        /* the answer: goes on to callback, if not at once then later; NULL does nothing else */
        void (*reply)(Operation *o, int r, const Error *e, const SupervisorMessage *reply);
        Callback callback;
        void *userdata;
        int number; /* reply's own */
};

#define PROCESS_REQUEST_USEC (10 * USEC_PER_SEC)
/* after SIGKILL: draining output takes the supervisor at most 10 s */
#define PROCESS_KILL_USEC (15 * USEC_PER_SEC)

/* Asks the supervisor about p: its exec id is filled in, m->text is left alone for init. o needs
 * reply, callback and userdata only and is copied. CTR_UNAVAILABLE without a supervisor that
 * listens, CTR_NOT_IMPLEMENTED if it is too old for this request. */
int process_request(Process *p, SupervisorMessage *m, const int *fds, size_t n_fds,
                    uint64_t timeout_usec, const Operation *o, Error *e);

/* p goes although requests about it are under way: who waits for them is told so. */
void process_drop_operations(Process *p);

/* Its start was asked for by a former manager and is still under way: the supervisor answers the
 * same request with the outcome of that. */
int process_start_again(Process *p, Callback callback, void *userdata, Error *e);

/* Asks the supervisor how p is, where the answer to a request is missing: it may be RUNNING, or
 * PAUSED, by now. */
void process_look_again(Process *p);

/* A Callback for requests whose answer nobody waits for. */
void process_ignore(Object *o, int r, const Error *e, void *userdata);
