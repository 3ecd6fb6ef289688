/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One push: a manifest or index of the content store, and all that it refers to, to a registry.
 * First everything is found (worker/closure.h), so that what is not complete is not begun; then
 * threads bring the blobs that the registry does not have; then come the documents, children first:
 * what the registry accepts never refers to something that it lacks.
 */

#include "image/reference.h"
#include "worker/closure.h"
#include "worker/job.h"
#include "worker/remote.h"
#include "worker/store.h"

#define PUSHERS_MAX    3
#define PUSH_CHUNK_MIN (64 * 1024)

typedef struct PushOptions {
        Platform platform;
        bool all_platforms;
        uint64_t chunk;    /* bytes; 0: a blob in one piece */
        char **mount_from; /* repositories of the same registry; NULL: none */
        bool has_digest;
        Digest digest; /* what is pushed, if the reference does not say so */
} PushOptions;

typedef enum PushPhase {
        PUSH_RESOLVE,
        PUSH_UPLOAD,
        PUSH_MANIFEST,
        PUSH_DONE,
        _PUSH_PHASE_MAX,
} PushPhase;

typedef enum PushBlobPhase {
        PUSH_BLOB_WAIT,
        PUSH_BLOB_UPLOAD,
        PUSH_BLOB_DONE,
        PUSH_BLOB_EXISTS,
        PUSH_BLOB_MOUNTED,
        _PUSH_BLOB_PHASE_MAX,
} PushBlobPhase;

typedef struct PushBlob {
        const Descriptor *descriptor;
        PushBlobPhase phase; /* guarded by the mutex */
        atomic_uint_least64_t sent;
} PushBlob;

typedef struct Push {
        WorkerJob job;
        Store store;
        Remote remote;
        Reference reference;
        const PushOptions *options;

        /* written by the job before the threads start */
        Closure closure;
        const Descriptor *target;
        PushBlob *blobs;
        size_t n_blobs;

        /* guarded by the mutex */
        PushPhase phase;
        size_t next;
} Push;

int push_init(Push *p, const PushOptions *options, int control_fd, Error *e);
void push_clear(Push *p);
