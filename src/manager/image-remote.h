/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Jobs that speak with a registry without changing anything here: pushes, and what a reference
 * names there. */

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
