/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What all jobs of the worker have in common: a thread that does the work, while the main thread
 * speaks with who started us (worker/report.h). A job is a structure that begins with a WorkerJob;
 * its JobType says what is particular to it.
 *
 * Invariant: the first failure wins and cancels the rest; a job that was canceled ends in an error.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "basic/json.h"

typedef struct WorkerJob WorkerJob;

typedef struct JobType {
        const char *name; /* as in "The pull was canceled" */

        /* The job itself, in a thread of its own. 0, or an error set in e. Errors that other
         * threads gave to job_fail() need not be returned. */
        int (*run)(WorkerJob *j, Error *e);

        /* Takes back what a failed job has begun; NULL: nothing. In the job's thread. */
        void (*undo)(WorkerJob *j);

        /* A `progress` packet of the moment, called at any time. A new object, NULL if memory is
         * short. */
        json_t *(*progress)(WorkerJob *j);

        /* The question of job_ask(), and what is done with its answer; NULL where nobody is there
         * to answer. Both NULL for a job that asks nothing. */
        json_t *(*plan)(WorkerJob *j);
        int (*answer)(WorkerJob *j, json_t *packet, Error *e);

        /* The `result` packet of a job that has ended well. */
        json_t *(*result)(WorkerJob *j);
} JobType;

struct WorkerJob {
        const JobType *type;
        int control_fd; /* -1: none */
        int event_fd;   /* readable when the main thread has something to look at */
        atomic_bool canceled;

        pthread_mutex_t mutex; /* guards what follows, and what the job puts under it */
        pthread_cond_t changed;
        Error error; /* the first one */
        bool asking; /* waits for an answer */
        bool finished;
};

/* control_fd stays the caller's. */
int job_init(WorkerJob *j, const JobType *type, int control_fd, Error *e);
void job_clear(WorkerJob *j);

/* The thread function: runs the job to its end, and undoes it where it failed. */
void *job_run(void *job);

/* Records an error, unless there is one, and makes everybody stop. */
void job_fail(WorkerJob *j, Error *e, int code);

/* Sends the plan and waits for its answer. 0 or CTR_CANCELED. */
int job_ask(WorkerJob *j);
/* The answer is in. */
void job_answered(WorkerJob *j);

/* Tells the main thread that progress is to be reported now. */
void job_notify(WorkerJob *j);

static inline bool job_is_canceled(WorkerJob *j) {
        return atomic_load(&j->canceled);
}
