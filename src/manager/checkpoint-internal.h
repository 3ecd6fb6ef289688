/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the making of a checkpoint (checkpoint.c) and going on with it after a restart
 * (checkpoint-recover.c). */

#include "manager/checkpoint.h"
#include "manager/image.h"
#include "supervisor/record.h"

#define CHECKPOINT_INVENTORY "inventory.img" /* CRIU's list of what else there is */

/* A checkpoint that is being made. */
typedef struct Dump Dump;
struct Dump {
        Manager *manager;
        Dump *next; /* of Manager.dumps */
        Task *task; /* NULL: it is gone, which it may be after Exit */
        CheckpointRequest request;
        char *reference;               /* NULL: only to a directory */
        char *namespace, *base, *name; /* with reference: of the task, its image, the directory */
        uint64_t started_at;
        bool resume;    /* it ran before, and shall go on */
        bool recovered; /* a former manager's, of which the supervisor was not asked yet */
        bool told;      /* its event is in the history */
        Image *image;
        Callback callback;
        void *userdata;
        int result;
        Error error;
};

/* A new one, of t. 0 or -ENOMEM. */
int dump_attach(Task *t, Dump **ret);
Dump *dump_free(Dump *d);
DEFINE_CLEANUP(Dump *, dump_free);

/* Callbacks: the images are written, or not; and then: the task goes on, or not. */
void dump_written(Object *o, int r, const Error *e, void *userdata);
void dump_resumed(Object *o, int r, const Error *e, void *userdata);
