/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The mounts of a container that is being made: those of its request, with an anonymous volume for
 * each path of the image's that the request says nothing about. Volumes and images become what the
 * OCI document knows, and their snapshots are held as long as the container is there.
 *
 * A new volume begins with what the image has at its path. A worker copies that before anything is
 * made (mount_plan_copy_up()), and rows, directories and the container come in one transaction.
 */

#include "manager/container.h"
#include "manager/image.h"

typedef enum MountKind {
        MOUNT_PLAIN,   /* for the runtime, as it is */
        MOUNT_VOLUME,  /* source: its name; "": an anonymous one */
        MOUNT_IMAGE,   /* source: its reference; to be read only */
        MOUNT_OVERLAY, /* of a directory of the host, see container-mount-overlay.h */
} MountKind;

typedef struct PlannedMount {
        const ContainerMount *mount; /* the request's, or own */
        ContainerMount own;          /* for a path of the image's */
        MountKind kind;
        bool copy_up;     /* may begin with what the image has */
        char *tree;       /* that a worker has made for it, a name; NULL: none */
        int64_t snapshot; /* 0: none yet */
        bool made;        /* by us: to be undone */
        bool exchanged;   /* its tree is the worker's: to be exchanged again */
} PlannedMount;

typedef struct MountPlan {
        Manager *manager;
        PlannedMount *items; /* in the order in which they are mounted */
        size_t n;
        ContainerMount *mounts; /* for the document, filled by mount_plan_take() */
        bool durable;           /* has volumes, which outlive what is volatile */
} MountPlan;

/* CTR_INVALID_ARGUMENT, CTR_NOT_FOUND for an image to be mounted, CTR_FAILED_PRECONDITION for paths
 * of the image's that cannot be volumes. request and image must stay. */
int mount_plan_new(Manager *m, const ContainerRequest *request, Image *image, MountPlan **ret,
                   Error *e);

/* Undoes what was not committed: trees that nobody took, and after mount_plan_take() directories.
 */
MountPlan *mount_plan_free(MountPlan *p);
DEFINE_CLEANUP(MountPlan *, mount_plan_free);

/* Whether anything is to be copied. */
bool mount_plan_needs_copy(const MountPlan *p) _pure_;

/* callback(NULL): the trees are there. */
int mount_plan_copy_up(MountPlan *p, const ContainerRequest *request, Image *image,
                       Callback callback, void *userdata, Error *e);

/* In the transaction that makes the container c: rows and directories of what it mounts. */
int mount_plan_take(MountPlan *p, const Container *c, Error *e);

/* In the same one, when the container has its row. */
int mount_plan_hold(MountPlan *p, const Container *c, Error *e);

/* It was committed: nothing is to be undone. */
void mount_plan_committed(MountPlan *p);
