/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pulls, and what one means for the database: which layers are there, and the commit of what the
 * worker brought. The documents are those of docs/worker-protocol.md. */

#include "manager/job.h"

typedef struct PullRequest {
        const char *namespace, *reference;
        bool no_unpack;
        bool if_missing; /* policy "missing": no worker if the image is there */
} PullRequest;

extern const JobType job_pull_type;

/* Starts a pull. The image's record is made or changed before the job's waiters are told. */
int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e);

/* A JobType's plan(): which layers are there already. For all workers that extract images. */
int pull_answer_plan(Job *j, json_t *plan, json_t **ret, Error *e);
