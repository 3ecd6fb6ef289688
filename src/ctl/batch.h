/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One operation on each argument of the command line, several at once. One that fails is reported
 * and does not stop the others.
 */

#include "ctl/client.h"

typedef struct Batch Batch;
typedef struct BatchItem BatchItem;

struct BatchItem {
        Batch *batch;
        const char *name; /* the argument */
        char *path;       /* of the object, if the operation has one */
        char *extra;      /* of the operation, freed with the item */
        int code;         /* 0 or the error that was reported */
        uint64_t value;   /* for the operation */
        unsigned step;    /* for the operation */
};

struct Batch {
        Client *client;
        const char *verb;
        const char *member; /* of batch_methods() */
        unsigned keys;
        /* "task", ..., or "process" for a task or an exec: the object path of each item is made
         * from it; or NULL */
        const char *kind;
        /* Starts an item: makes a request. 0 or an error. */
        int (*start)(BatchItem *item, Error *e);
        /* Filled by batch_run() */
        BatchItem *items;
        size_t n, next, running;
        bool done;
};

/* Runs them all. Returns the exit status: EXIT_FAILURE if any failed; e is set only if nothing
 * could be done. The items stay for the caller to look at; batch_clear() frees them. */
int batch_run(Batch *b, char *const *names, Error *e);
void batch_clear(Batch *b);

/* The item is done; e is NULL or what went wrong, which is printed. */
void batch_item_finish(BatchItem *item, const Error *e);

/* Makes a request of item, or finishes it if that is impossible. */
void batch_item_call(BatchItem *item, const Call *call, RequestHandler handler);

/* Calls a method of the manager, (s, a{sv}), with each argument and these ArgumentKeys. What is not
 * there is an error, unless it may have been this call that removed it. */
int batch_methods(Client *c, const char *verb, const char *member, unsigned keys,
                  char *const *names, Error *e);
