/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One image: from a reference, or what is in the store already, to verified blobs in the content
 * store and extracted layers beside each other. Threads share the Pull:
 *
 *   the main thread   speaks with who started us, and takes signals (report.c)
 *   the job           resolves the reference, starts the others, finishes (pull.c)
 *   fetchers          download layers into the store (fetch.c)
 *   unpackers         inflate and extract layers, also while they are still coming (unpack.c)
 *
 * A fetcher and an unpacker meet in the partial blob itself: what the one has written the other may
 * read, up to `available`. So a slow disk never stalls a download, and memory stays bounded.
 *
 * Blobs and trees are made durable together at the end, by one syncfs(), and then renamed.
 * Invariant: the first failure wins and cancels the rest; whatever ends the job, no temporary tree
 * stays, and partial blobs do.
 */

#include "image/config.h"
#include "image/ingest.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry.h"
#include "snapshot/apply.h"
#include "snapshot/overlayfs.h"
#include "worker/document.h"
#include "worker/job.h"
#include "worker/store.h"
#include "worker/trust.h"

#define FETCHERS_MAX    3
#define UNPACKERS_MAX   4
#define INDEX_DEPTH_MAX 4

typedef enum LayerPhase {
        LAYER_WAIT,
        LAYER_DOWNLOAD,
        LAYER_UNPACK,
        LAYER_DONE,
        LAYER_EXISTS,
        _LAYER_PHASE_MAX,
} LayerPhase;

typedef enum JobPhase {
        JOB_RESOLVE,
        JOB_DOWNLOAD,
        JOB_UNPACK,
        JOB_VERIFY,
        JOB_DONE,
        _JOB_PHASE_MAX,
} JobPhase;

typedef struct PullOptions {
        Platform platform;
        ApplyLimits limits; /* of one layer */
        bool unpack;
        bool prefer_local;  /* --policy=missing */
        bool all_platforms; /* of an index everything is fetched; without a registry, what is there
                             */
        bool has_known;
        Digest known; /* what the tag stood for before: the registry is asked whether it still does
                       */
} PullOptions;

/* A document on the way to the layers. It goes into the store at the end of the job, so that no
 * other pull has to wait for it. */
typedef struct Document {
        const char *kind; /* "index", "manifest", "config" */
        Descriptor descriptor;
        char *data; /* of descriptor.size bytes, verified */
} Document;

typedef struct Layer {
        const Descriptor *descriptor;
        Compression compression;
        Digest diff_id, chain_id;
        uint64_t existing;  /* the committed snapshot's number, 0 if there is none */
        const char *shared; /* an earlier image of the job has published it in this directory */
        bool fetch_only;    /* its blob is wanted, its tree not, or it is there */
        bool stored;        /* the blob was in the store from the start */

        /* guarded by the mutex */
        LayerPhase phase;
        int fd;             /* the blob, complete or not; -1 until it is open */
        uint64_t available; /* bytes of it that may be read */
        uint64_t consumed;  /* bytes of it that were unpacked */
        bool complete;

        /* the unpacker's, then the job's */
        char directory[OVERLAYFS_NAME_SIZE]; /* temporary, then published; "" if there is none */
        int fs_fd;
        ApplyResult result;
} Layer;

/* Its tree is not for us to make. */
static inline bool layer_is_there(const Layer *l) {
        return l->existing > 0 || l->shared;
}

typedef struct DescriptorList {
        Descriptor *items;
        size_t n;
} DescriptorList;

typedef struct Pull Pull;
struct Pull {
        Pull *earlier; /* the image before this one in the same job, which is done; NULL: none */
        const PullOptions *options;
        WorkerJob *job; /* whose mutex guards what follows, and the layers where they say so */
        const Store *store;
        Registry *registry; /* NULL: everything is in the store */
        const Trust *trust; /* NULL: whether it may come in is not asked here */

        JobPhase phase;
        size_t next_fetch, next_fetch_other, next_unpack;
        /* verified, not committed; with room for what threads have begun */
        Ingest *pending[INDEX_DEPTH_MAX + 2 + MANIFEST_LAYERS_MAX + FETCHERS_MAX + 2];
        size_t n_pending;

        /* written by the job before the threads that read them start */
        Reference reference;
        Document documents[INDEX_DEPTH_MAX + 2];
        size_t n_documents;
        Descriptor target; /* what the reference names */
        Manifest *manifest;
        ImageConfig *config;
        Layer *layers;
        size_t n_layers;
        bool planned;

        /* with all_platforms, of the other images of the index */
        DescriptorList other_documents, other_blobs;
        DescriptorList platforms; /* all manifests, ours as well, as the index has them */
        Layer *others;            /* the blobs */
        size_t n_others;
};

/* Prepares an empty Pull. What is given lives longer. */
void pull_init(Pull *p, WorkerJob *job, const Store *store, const PullOptions *options);
void pull_clear(Pull *p);

/* What p->reference names (of registry, NULL: of the store) becomes verified blobs and published
 * trees. In the job's thread. */
int pull_run(Pull *p, Registry *registry, Error *e);

/* Removes the trees of a job that failed. */
void pull_undo(Pull *p);

/* Gives `have` (see docs/worker-protocol.md) to the job: one number or 0 per layer, and whether its
 * blob is to be fetched in any case. */
void pull_set_have(Pull *p, const uint64_t *snapshots, const bool *fetch, size_t n);

/* Take the mutex, and let progress be reported. */
void pull_set_phase(Pull *p, JobPhase phase);
void pull_set_layer_phase(Pull *p, Layer *l, LayerPhase phase);

/* Opens a partial blob. One that somebody else is at is waited for: meanwhile all that we hold is
 * committed, since the other one may wait for us. As ingest_open(), without CTR_CONFLICT. */
int pull_open_ingest(Pull *p, const Descriptor *d, Ingest **ret, Error *e);

/* Takes over a verified blob. Its commit is at the end of the job, when everything is synced. */
void pull_add_pending(Pull *p, Ingest *i);

/* Puts a verified document into the store, as pending. */
int pull_store_document(Pull *p, const Descriptor *d, const char *data, Error *e);

/* resolve.c: finds, fetches and verifies the manifest and the config. */
int pull_resolve(Pull *p, Http *http, Error *e);
/* Brings the document of a descriptor: from the store, else from the registry, verified. */
int pull_fetch_document(Pull *p, Http *http, const Descriptor *d, bool is_config, Text *ret,
                        Error *e);

/* Asks the signature policy about a manifest that was verified. As trust_check_image(). */
int pull_check_trust(const Pull *p, Http *http, const Digest *digest, const char *data, size_t size,
                     Error *e);

/* pull-platforms.c: the same for all else that the index has, whose blobs are going to be fetched.
 */
int pull_resolve_others(Pull *p, Http *http, Error *e);

/* fetch.c and unpack.c: thread functions that take layers until none is left. */
void *pull_fetcher(void *pull);
void *pull_unpacker(void *pull);
