/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a job's life (job.c) and its worker (job-worker.c) need of each other. */

#include "manager/job.h"

/* Starts the worker, which ends in job_finish(). */
int job_spawn(Job *j, Error *e);

/* Asks the job's type for the answer that it could not give before. */
void job_answer_plan_again(Job *j);

/* Forgets the worker; one that is still there is told to end. */
void job_release_worker(Job *j);

/* Closes our copies of the request's descriptors. */
void job_close_files(Job *j);

void job_set_phase(Job *j, const char *phase);

/* job-input.c. Begins to wait for the ends of what is to be complete before the job begins:
 * j->input_source is set as long as it is not. */
int job_await_input(Job *j, Error *e);
void job_forget_input(Job *j);

/* job-queue.c. True if it has to wait for others. */
bool job_must_wait(const Job *j);
/* A job is over: starts those whose turn has come, and answers those that waited for it. */
void jobs_continue(Manager *m);

/* Ends a job without a worker, from the event loop. */
int job_finish_later(Job *j);

/* Tells everybody how it ended, by j->error, and frees it. */
void job_finish(Job *j);
