/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long work as a job of the service, with its progress on standard error. */

#include "basic/json.h"
#include "ctl/client.h"

/* Makes a call whose reply is the path of a job, and waits for the end of that. noun names the work
 * ("pull"). The first SIGINT cancels the job, a second one no longer waits for that; either is
 * CTR_CANCELED. A service that is restarted in between is asked again, unless call->once. *ret (may
 * be NULL) becomes what the job has brought, an object; an empty one if the service did not say. */
int job_run(Client *c, const Call *call, const char *noun, json_t **ret, Error *e);

/* The exit status of a verb whose job ended with an error. */
int job_failure_status(const Error *e);
