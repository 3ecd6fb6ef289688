/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One import: images from an archive become blobs of the content store and, by the same way as
 * those of a pull, extracted layers.
 *
 * The archive may be a pipe, and its parts come in any order (it may also be a directory, an OCI
 * image layout): so every file of it goes into the store's ingest/ first, hashed on the way
 * (import-archive.c). When it has ended, its documents say what it was: an OCI archive
 * (import-oci.c), what `docker save` makes, or a root file system, for which there are no documents
 * but those that we write (import-docker.c). What an image refers to is committed, the rest is
 * dropped, and then each image is pulled out of the store.
 */

#include "image/image-archive.h"
#include "worker/pull.h"

#define IMPORT_FILES_MAX  2000
#define IMPORT_IMAGES_MAX 32

typedef struct ImportOptions {
        PullOptions pull;
        bool rootfs;     /* the archive is a root file system */
        json_t *request; /* about its image; NULL: nothing. See docs/worker-protocol.md */
} ImportOptions;

/* A file of the archive, or one that we made. */
typedef struct ImportFile {
        char *name;     /* NULL: ours */
        char *link;     /* the name of another one; NULL: a file */
        Ingest *ingest; /* NULL: in the store already, or a link */
        Digest digest;
        uint64_t size;
        bool keep; /* an image refers to it */
} ImportFile;

typedef struct ImportImage {
        char **names; /* as the archive says, any text; NULL: none */
        Descriptor target;
        Pull *pull; /* NULL: not begun */
} ImportImage;

typedef struct Import {
        WorkerJob job;
        Store store;
        const ImportOptions *options;
        Trust trust;
        int fd; /* the archive */
        bool is_directory;

        ImportFile *files;
        size_t n_files;
        ImportImage images[IMPORT_IMAGES_MAX];

        /* guarded by the mutex */
        uint64_t bytes_read;
        size_t n_images;
        Pull *current; /* the image that is unpacked; NULL: the archive is read */
} Import;

int import_init(Import *m, const ImportOptions *options, int control_fd, Error *e);
void import_clear(Import *m);

/* import-archive.c: the archive's files, each verified if its name says a digest. */
int import_read_archive(Import *m, Error *e);
/* The same for an image layout that is a directory. */
int import_read_layout(Import *m, Error *e);
/* The file of that name or digest, links followed. NULL if there is none. */
ImportFile *import_find(Import *m, const char *name);
ImportFile *import_find_digest(Import *m, const Digest *d);
/* Reads a document of at most max bytes. CTR_RESOURCE_EXHAUSTED. */
int import_read_file(Import *m, const ImportFile *f, size_t max, char **ret_data, size_t *ret_size,
                     Error *e);
/* Adds a file. *ret stays valid until the next one is added. */
int import_add_file(Import *m, const char *name, ImportFile **ret, Error *e);
/* Adds a document of ours, which is kept. */
int import_add_document(Import *m, const char *data, size_t size, Digest *ret, Error *e);
/* Finds the image with that target, or adds it; name (may be NULL) is one more for it. */
int import_add_image(Import *m, const Descriptor *target, const char *name, Error *e);

/* import-oci.c: the images of index.json, and what they refer to. */
int import_oci(Import *m, const ImportFile *file, Error *e);

/* import-docker.c: the images of manifest.json, with manifests of ours. */
int import_docker(Import *m, const ImportFile *file, Error *e);
/* The archive itself is the one layer of an image. */
int import_rootfs(Import *m, Error *e);
