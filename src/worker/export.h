/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One export: images of the content store into an archive, which may be a pipe. Equal images and
 * names give equal bytes. Blobs are hashed again on the way: a damaged one is an error, and never
 * part of an archive that looks whole.
 */

#include "image/image-writer.h"
#include "worker/closure.h"
#include "worker/job.h"
#include "worker/store.h"

#define EXPORT_IMAGES_MAX 32
#define EXPORT_NAMES_MAX  64

typedef enum ExportFormat {
        EXPORT_OCI,    /* an OCI archive */
        EXPORT_DOCKER, /* what docker load reads: layers without their compression */
} ExportFormat;

/* A name for the image of that index. */
typedef struct ExportName {
        size_t image;
        const char *name;
} ExportName;

typedef struct ExportOptions {
        ExportFormat format;
        Platform platform;
        bool all_platforms;
        Digest images[EXPORT_IMAGES_MAX];
        size_t n_images;
        ExportName names[EXPORT_NAMES_MAX];
        size_t n_names;
} ExportOptions;

typedef struct Export {
        WorkerJob job;
        Store store;
        const ExportOptions *options;
        int fd; /* the archive */
        ImageWriter *writer;
        Closure closure;
        Descriptor targets[EXPORT_IMAGES_MAX];
        char *buffer;
        uint64_t bytes; /* written; guarded by the mutex */
} Export;

int export_init(Export *x, const ExportOptions *options, int control_fd, Error *e);
void export_clear(Export *x);

#define EXPORT_BUFFER_SIZE (256 * 1024)

/* export.c: a blob of the store as the file name, verified. */
int export_blob(Export *x, const Descriptor *d, const char *name, Error *e);
void export_count(Export *x, uint64_t bytes);

/* export-docker.c: all of the archive. */
int export_docker(Export *x, Error *e);
