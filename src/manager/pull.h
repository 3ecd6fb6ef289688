/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a pull means for the database: which layers are there, and the commit of what the worker
 * brought. The documents are those of docs/worker-protocol.md. */

#include "manager/job.h"

/* A `have` packet for a `plan`. */
int pull_answer_plan(Manager *m, json_t *plan, json_t **ret, Error *e);

/* Rows, directories and the image's record, in one transaction. */
int pull_commit(Manager *m, const char *namespace, const char *reference, bool unpacked,
                json_t *result, Error *e);
