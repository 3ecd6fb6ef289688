/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A long operation in a worker process of its own: it has an owner-independent life, progress, and
 * can be canceled. It is gone when it is done; JobRemoved tells the result, and so does Wait for a
 * while: a job may be over before its maker can ask.
 *
 * What is particular to pulls, exports and the like is their JobType, which lives where its commit
 * is (manager/pull.c, ...). A job is started by job_start() and nothing else.
 *
 * Invariant: whatever the worker brought is in the database, or undone, before anybody who waits
 * for the job is told.
 */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "manager/object.h"

typedef struct Job Job;

/* Which files of the content store a worker relies on besides those that have a record: they are
 * not removed meanwhile (manager/sweeper.h). */
typedef enum JobBlobs {
        JOB_BLOBS_ANY,     /* nobody knows: none is removed until the job is over */
        JOB_BLOBS_PLANNED, /* those that its plan names, from then on */
        JOB_BLOBS_NONE,
} JobBlobs;

/* Any of the functions may be NULL. */
typedef struct JobType {
        const char *name;   /* Job.Type: "pull", as in "The pull of ... was canceled" */
        const char *verb;   /* of ctr-worker; NULL: the name */
        const char *action; /* of polkit, without the prefix: what Cancel asks for, which is that of
                             * the method that makes such a job */
        const char *first_phase; /* which the worker begins with; NULL: "start" */
        unsigned n_running_max;  /* at a time; the others wait. 0: no limit */
        bool without_store;      /* the verb knows no --root= */
        bool resumable; /* the same job, tried again, goes on from what one that failed has fetched
                         */
        JobBlobs blobs;
        bool brings_blobs;     /* into the content store, besides those of a plan */
        bool ends_with_result; /* the job is over when the worker has said its result, which then
                                * holds no lock and no file that anybody waits for: taking 30
                                * libraries and a mount namespace down is not waited for */
        bool confidential; /* the outcome is for who started it: Job.Wait, which everybody may call,
                            * does not tell it, and it is gone with the job */

        /* Its turn has come: appends arguments that depend on what is known by now. 0 or -ENOMEM.
         */
        int (*begin)(const Job *j, char ***arguments);

        /* The answer to the worker's `plan` (docs/worker-protocol.md). 0 and a new object; 0 and
         * NULL to be asked again when another job is over; or an error, which ends the worker. */
        int (*plan)(Job *j, json_t *packet, json_t **ret_answer, Error *e);

        /* j->phase is another one. */
        void (*phase)(Job *j);

        /* The worker has said this, and ended well unless ends_with_result: records it, and may set
         * j->outcome. An error is the job's. Not called for a job that failed or was canceled. */
        int (*commit)(Job *j, json_t *result, Error *e);

        /* The job is over, with j->error set if it failed; called once for every job that was
         * started, before anybody is told, and never by a manager that ends. */
        void (*done)(Job *j);

        /* Frees the request's userdata, when the job is over and everybody was told. */
        void (*destroy)(void *userdata);
} JobType;

/* A descriptor for the worker, which gets it as OPTION=N ("--credentials-fd"). */
typedef struct JobFile {
        const char *option;
        int fd;
        bool until_closed; /* a pipe or socket, or a file, with little in it: the job's turn comes
                            * when nobody can write to it any more */
} JobFile;

#define JOB_FILES_MAX 4

typedef struct JobRequest {
        const JobType *type;
        const char *namespace;
        const char *description;      /* pull: the normalised reference */
        char *const *arguments;       /* of the worker's verb, after --root= and --control-fd= */
        JobFile files[JOB_FILES_MAX]; /* up to the first without an option; they stay the caller's
                                       */
        void *userdata;  /* of the type's functions; the job's own once it was started */
        const char *key; /* jobs with the same one run one after the other; NULL: none */
        json_t *outcome; /* not NULL: there is nothing to do. The job is over at once, without a
                          * worker and without commit(), and this is what it brought; it stays the
                          * caller's */
} JobRequest;

struct Job {
        Object object; /* name: the number in decimal */
        uint64_t id;
        const JobType *type;
        char *namespace;
        char *description;
        char *phase;      /* "wait" until its turn has come, then what the worker says */
        json_t *progress; /* array of {ref, phase, offset, total}; docs/worker-protocol.md */
        uint64_t started_at;
        void *userdata;

        bool canceled;
        bool waiting; /* for its turn */
        bool ended;   /* only its error and its outcome count */
        bool lingers; /* its worker was there still when it was over: it will be reaped, and only
                       * then may the job be freed */
        Job *ended_next;
        char *key;
        bool planned;    /* its plan was answered */
        bool needs_more; /* than the plan names */
        char *lease;     /* holds what was planned; NULL: there is none */
        char **arguments;
        JobFile files[JOB_FILES_MAX]; /* our copies, until the worker has its own */
        int pidfd, socket_fd;
        pid_t pid; /* of the worker, also when it is gone; 0: none was started */
        sd_event_source *pid_source, *socket_source, *timer;
        sd_event_source *input_source; /* something that it needs is still coming */
        json_t *plan;                  /* the worker's question that was not answered yet */
        json_t *claims;  /* what it makes, and no other job shall make meanwhile: an object whose
                          * keys belong to its type's plan() */
        json_t *parts;   /* of the packet that is going to come */
        json_t *result;  /* the worker's last word */
        json_t *outcome; /* what Job.Wait answers: {key: string, integer, boolean, array of
                          * strings}; the value of "Image" is a name, which is shown as a path */
        Error error;
        Waiter *waiters;
};

static inline Job *JOB(Object *o) {
        assert(!o || o->type == OBJECT_JOB);
        return (Job *) o;
}

Job *job_free(Job *j);
DEFINE_CLEANUP(Job *, job_free);

/* Makes the job, and starts its worker as soon as its turn has come. On failure userdata is still
 * the caller's. */
int job_start(Manager *m, const JobRequest *request, Job **ret, Error *e);

/* The file for a worker's --request-fd: request as text, -1 if it is NULL. */
int job_write_request(json_t *request, int *ret_fd, Error *e);

/* Sets one item of what Job.Wait answers; takes over value, which may be NULL for -ENOMEM. */
int job_set_outcome(Job *j, const char *key, json_t *value);

/* The commit of jobs whose worker tells how much it has copied: that is "Bytes". */
int job_commit_bytes(Job *j, json_t *result, Error *e);

/* One of the last that have ended, or NULL. */
Job *job_find_ended(const Manager *m, const char *name);
void jobs_forget_ended(Manager *m);

/* Told when it ends: 0, CTR_CANCELED or its error. */
int job_wait(Job *j, Callback callback, void *userdata, Error *e);

int job_cancel(Job *j, Error *e);

/* Whether a worker may rely on any file of the content store at the moment. */
bool jobs_use_blobs(Manager *m);
