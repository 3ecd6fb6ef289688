/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a job's life (job.c) and its worker (job-worker.c) need of each other. */

#include "manager/job.h"

/* Starts the worker, which ends in job_finish(). */
int job_spawn(Job *j, Error *e);

/* Forgets the worker; one that is still there is told to end. */
void job_release_worker(Job *j);

/* Closes our copies of the request's descriptors. */
void job_close_files(Job *j);

void job_set_phase(Job *j, const char *phase);

/* Tells everybody how it ended, by j->error, and frees it. */
void job_finish(Job *j);
