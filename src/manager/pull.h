/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pulls, and what all jobs share whose workers extract layers. The documents are those of
 * docs/worker-protocol.md.
 *
 * Invariant: no layer is extracted by two jobs at a time, and nothing is fetched twice: who needs
 * what another one is at waits for it, before it has begun anything that somebody could wait for.
 */

#include "manager/job.h"

typedef enum ImagePolicy {
        IMAGE_POLICY_ALWAYS,  /* the registry is asked, and what is there is not fetched again */
        IMAGE_POLICY_MISSING, /* nothing is asked if the image is there */
        IMAGE_POLICY_NEVER,   /* the image has to be there */
} ImagePolicy;

/* What is kept of layers besides their trees. */
typedef enum KeepLayers {
        KEEP_LAYERS_FETCHED, /* the blobs that had to be fetched */
        KEEP_LAYERS_ALL,     /* those of layers that had been extracted before, too */
        KEEP_LAYERS_NONE,
} KeepLayers;

typedef struct PullRequest {
        const char *namespace, *reference;
        ImagePolicy policy;
        KeepLayers keep_layers;
        bool no_unpack, all_platforms;
        const char *platform;    /* NULL: ours */
        const char *snapshotter; /* of containers that are to be made of it; NULL: any */
        const char *lease;       /* holds the image, too; NULL: none does */
        json_t *labels;          /* NULL: those that the image has */
        char *const *limits;     /* NAME=VALUE, as the worker knows them */
        int credentials_fd;      /* 0 or less: none */
} PullRequest;

extern const JobType job_pull_type;

/* Starts a pull. The image's record is made or changed before the job's waiters are told.
 * CTR_NOT_FOUND with IMAGE_POLICY_NEVER, CTR_FAILED_PRECONDITION if it is there but not unpacked,
 * CTR_NOT_IMPLEMENTED for a snapshotter that cannot be used here. */
int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e);

/* For a JobType's plan(): which layers are there already. with_blobs: and of which of those the
 * blob is to be fetched all the same, as it is not in the store; those that are known to have been
 * there are in any case. */
int layers_answer_plan(Job *j, json_t *plan, bool with_blobs, json_t **ret, Error *e);
