/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A long operation in a worker process of its own: it has an owner-independent life, progress, and
 * can be canceled. It is gone when it is done; JobRemoved tells the result. */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "manager/object.h"

typedef enum JobType {
        JOB_PULL,
        JOB_CHECKPOINT, /* see manager/checkpoint-image.h */
        JOB_RESTORE,

        _JOB_TYPE_MAX,
} JobType;

typedef struct Job {
        Object object; /* name: the number in decimal */
        uint64_t id;
        JobType type;
        char *namespace;
        char *description; /* pull: the normalised reference */
        char *phase;
        json_t *progress; /* array of {ref, phase, offset, total}; docs/worker-protocol.md */
        uint64_t started_at;

        bool unpack, canceled;
        int pidfd, socket_fd;
        sd_event_source *pid_source, *socket_source, *timer;
        json_t *result;
        Error error;
        Waiter *waiters;
} Job;

static inline Job *JOB(Object *o) {
        assert(!o || o->type == OBJECT_JOB);
        return (Job *) o;
}

const char *job_type_to_string(JobType t) _const_;

Job *job_free(Job *j);
DEFINE_CLEANUP(Job *, job_free);

typedef struct PullRequest {
        const char *namespace, *reference;
        bool no_unpack;
        bool if_missing; /* policy "missing": no job if the image is there */
} PullRequest;

/* Starts a pull. With if_missing and the image there, the job is over at once without a worker. The
 * image's record is made or changed before the job's waiters are told. */
int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e);

/* Starts a worker for another job: arguments of its verb, after the options that all have. What it
 * reports is in result when the job's waiters are told. */
int job_start(Manager *m, JobType type, const char *namespace, const char *description,
              char *const *arguments, Job **ret, Error *e);

/* Told when it ends: 0, CTR_CANCELED or its error. */
int job_wait(Job *j, Callback callback, void *userdata, Error *e);

int job_cancel(Job *j, Error *e);
