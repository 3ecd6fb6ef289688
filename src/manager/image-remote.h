/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Jobs that speak with a registry without changing anything here: pushes, what a reference names
 * there, and searches. */

#include "manager/image.h"
#include "manager/job.h"

typedef struct PushRequest {
        const char *target;   /* reference; NULL: the image's own name */
        const char *platform; /* of an index; NULL: what was unpacked here */
        bool all_platforms;
        uint64_t chunk_size; /* 0: a blob is one request */
        int credentials_fd;  /* 0 or less: none */
} PushRequest;

/* Outcome: Digest, and Uploaded, Mounted, Existed: how many blobs. */
int job_push(Image *i, const PushRequest *request, Job **ret, Error *e);

/* Outcome: Digest. credentials_fd 0 or less: none. */
int job_resolve(Manager *m, const char *namespace, const char *reference, int credentials_fd,
                Job **ret, Error *e);

/* term: [HOST/]TERM; max: of each registry, at most SEARCH_MAX. Outcome, for who started it:
 * Images, an array of the objects that the worker's result has (docs/worker-protocol.md). */
#define SEARCH_MAX 1000U
int job_search(Manager *m, const char *namespace, const char *term, unsigned max,
               int credentials_fd, Job **ret, Error *e);
