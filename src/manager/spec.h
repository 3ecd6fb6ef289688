/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI runtime-spec document of a container, from the image's configuration and the request, in
 * the order of A1.11: the image first, then what the request replaces, merges and adds. */

#include "manager/container.h"
#include "manager/image.h"

/* In the document, annotation of who runs the program: resolved by the runtime against the root
 * file system's own passwd and group. */
#define SPEC_ANNOTATION_USER "org.example.Ctr.user"
/* "1": the root file system is never synced */
#define SPEC_ANNOTATION_VOLATILE "org.example.Ctr.volatile"
/* "1": its root holds the container's ids, not those of the host, also if it is a plain directory
 */
#define SPEC_ANNOTATION_MAPPED_ROOT "org.example.Ctr.mapped-root"
/* the RDT class of its processes */
#define SPEC_ANNOTATION_RDT_CLASS "org.example.Ctr.rdt-class"

typedef struct SpecResult {
        char *document;    /* JSON text */
        json_t *resources; /* unit properties, those of the devices included */
        int stop_signal;
} SpecResult;

void spec_result_clear(SpecResult *r);

/* ids are those that the container gets. CTR_INVALID_ARGUMENT, also for an image without a command
 * when the request has none. */
int spec_generate(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                  Image *image, SpecResult *ret, Error *e);

/* Replaces *document by one whose root is path. */
int spec_set_root(char **document, const char *path, Error *e);

/* The annotation name of a document, as a new string; *ret is untouched if it has none. */
int spec_read_annotation(const char *document, const char *name, char **ret, Error *e);

/* Sets linux.resources of the document to what these unit properties mean. 0 or -ENOMEM. */
int spec_set_resources(json_t *document, json_t *properties);
