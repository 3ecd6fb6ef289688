/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Images from archives and into them. An archive is a descriptor of the caller's, which only the
 * worker reads or writes. */

#include "manager/image.h"
#include "manager/job.h"
#include "manager/pull.h"

/*
 * Names of imported images: those that the archive gives, normalised. A single word, which image
 * layouts have, is a tag: of the name of the request, or of "localhost/imported". An image without
 * a usable name gets the name of the request if it is the only such one, and else one with its
 * digest.
 */
typedef struct ImportRequest {
        const char *namespace;
        int fd;
        const char *name;     /* NULL: none */
        const char *platform; /* NULL: ours */
        bool rootfs, no_unpack;
        const char *comment;  /* with rootfs: of the layer; NULL: none */
        char *const *changes; /* with rootfs: of the configuration, as of a commit */
        KeepLayers keep_layers;
        const char *snapshotter; /* as in PullRequest */
        const char *lease;       /* holds the images, too; NULL: none does */
        json_t *labels;          /* NULL: none, or those that an image of that name has */
        char *const *limits;     /* as in PullRequest */
} ImportRequest;

/* Outcome: Images, the names. */
int job_import(Manager *m, const ImportRequest *request, Job **ret, Error *e);

typedef struct ExportRequest {
        const char *namespace;
        char *const *references;
        int fd;
        const char *format;   /* "oci-archive", "docker-archive" */
        const char *platform; /* of an index; NULL: what was unpacked here */
        bool all_platforms;
} ExportRequest;

#define EXPORT_REFERENCES_MAX 32

/* Outcome: Images, the names; Bytes of blobs. CTR_NOT_FOUND names the image. */
int job_export(Manager *m, const ExportRequest *request, Job **ret, Error *e);
