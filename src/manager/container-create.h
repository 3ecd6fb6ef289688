/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the birth of a container (container-create.c) and the copies that some need for it
 * (container-create-copy.c). */

#include "manager/container-mounts.h"
#include "manager/container.h"

/* What it is made from. */
typedef struct Creation {
        const ContainerRequest *request;
        Image *image;
        const char *snapshotter; /* a constant */
        int64_t parent;          /* that the tree is a copy of; 0: the image's of now */
        const char *tree;        /* NULL: no copy */
        int64_t replaced;        /* a snapshot that made room; 0: none */
        UserNamespace user_namespace;
        MountPlan *mounts; /* NULL: not known yet */
} Creation;

void creation_clear(Creation *c);

/* What must be right before anything is made: fills in image and snapshotter. */
int creation_check(Manager *m, Creation *c, Error *e);

/* The same, and then makes it. */
int creation_run(Manager *m, Creation *creation, Container **ret, Error *e);
