/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The content store as clients see it: each namespace has its own blobs, with labels, over files
 * that all namespaces share (image/content.h). Rows are the truth: a file without one belongs to a
 * job that is under way, or that failed and has a lease (manager/lease.h).
 *
 * A blob that is found damaged or missing stays recorded, marked as such, and so are the images
 * that need it, until a pull has fetched it again.
 */

#include <jansson.h>

#include "basic/filter.h"
#include "manager/object.h"

typedef struct Job Job;

typedef struct Content {
        int64_t id;
        const char *namespace, *digest, *media_type; /* media_type: "" if nobody said */
        uint64_t size;
        json_t *labels; /* {key: value} */
        uint64_t created_at;
        uint64_t damaged_at; /* 0: it is as it should be */
        uint64_t n_images;   /* of its namespace, that need it */
} Content;

/* A blob that is being fetched, or was until something came in between (A1.6, C24). */
typedef struct IngestEntry {
        const char *namespace, *digest;
        uint64_t offset, total;          /* bytes; total 0: not known */
        uint64_t started_at, updated_at; /* realtime */
} IngestEntry;

typedef struct QuarantineEntry {
        const char *name; /* digest, or the file's name where that is none */
        uint64_t size, quarantined_at;
} QuarantineEntry;

/* Calls f for each in the order of (namespace, digest) until it returns other than 0, and returns
 * that. What f gets lives as long as the call. namespace NULL: all. */
int contents_foreach(Manager *m, const char *namespace, int (*f)(const Content *c, void *userdata),
                     void *userdata, Error *e);

/* A FilterLookup of Contents: digest, namespace, size, mediatype, labels.KEY. */
bool content_lookup(const void *content, const FilterField *field, const char **ret);

/* Opens the blob for reading. CTR_NOT_FOUND if the namespace has none of that digest, CTR_DATA_LOSS
 * if it should be there and is not. */
int content_open_in(Manager *m, const char *namespace, const char *digest, int *ret_fd, Error *e);

/* Takes it out of the namespace. CTR_FAILED_PRECONDITION names who needs it. */
int content_delete(Manager *m, const char *namespace, const char *digest, Error *e);

/* Replaces all labels. */
int content_set_labels(Manager *m, const char *namespace, const char *digest, json_t *labels,
                       Error *e);

/* The blob is damaged, or gone: marks it and the images that need it. */
int content_set_damaged(Manager *m, const char *digest, Error *e);

/* Sets Image.damaged of all images, by what the rows say. */
int content_update_images(Manager *m, Error *e);

/* Reads all blobs in a worker. The job's outcome has Blobs, Bytes, NDamaged and Damaged (the first
 * 500 digests); with quarantine those are out of the way when it is over. */
int content_verify(Manager *m, bool quarantine, Job **ret, Error *e);

/* Those whose file is there. */
int ingests_foreach(Manager *m, const char *namespace,
                    int (*f)(const IngestEntry *i, void *userdata), void *userdata, Error *e);

/* Removes partial blobs that nobody has written to for a day, and that no lease holds; those of
 * killed workers whose digest nobody knows yet; and rows of what is not partial any more. */
int ingests_expire(Manager *m, uint64_t *ret_n, Error *e);

int quarantine_foreach(Manager *m, int (*f)(const QuarantineEntry *q, void *userdata),
                       void *userdata, Error *e);
/* Removes all of it. */
int quarantine_clear(Manager *m, Error *e);
