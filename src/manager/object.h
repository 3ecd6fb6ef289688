/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the manager shows to the world: images, containers, tasks, execs and jobs share one head
 * with their kind and name. The manager finds them by name and keeps them in the order of
 * (namespace, name).
 *
 * The core sends no message. It marks objects dirty; from the event loop, once per iteration, the
 * observer is told about each dirty object, so that many changes in one step are one signal.
 *
 * Invariant: an object is in the index from object_link() to object_unlink(), and the observer sees
 * added, changed*, removed in this order.
 */

#include "basic/error.h"

typedef struct Manager Manager;

typedef enum ObjectType {
        OBJECT_IMAGE,
        OBJECT_CONTAINER,
        OBJECT_TASK,
        OBJECT_EXEC, /* named "ID/EXEC ID" */
        OBJECT_JOB,
        _OBJECT_TYPE_MAX,
} ObjectType;

typedef struct Object Object;
struct Object {
        ObjectType type;
        Manager *manager;
        char *namespace; /* "" for jobs, which are numbered over all namespaces */
        char *name;
        bool linked;
        bool dirty;
        Object *dirty_next;
};

/* What the core calls when an asynchronous operation is over: r is 0, a negative errno or an
 * ErrorCode; e has the sentence. object is what the operation was called on, still valid during the
 * call. Called exactly once, never before the function that took the callback has returned, unless
 * that function failed: then it is not called at all. */
typedef void (*Callback)(Object *object, int r, const Error *e, void *userdata);

/* Operations in progress on one object, each with somebody to tell. */
typedef struct Waiter Waiter;
struct Waiter {
        Callback callback;
        void *userdata;
        Waiter *next;
};

/* 0 or -ENOMEM. */
int waiter_add(Waiter **list, Callback callback, void *userdata);

/* Takes one out of the list that will not be told any more. False if it is not in it: then it was
 * told, or is about to be. */
bool waiter_remove(Waiter **list, Callback callback, const void *userdata);

/* Appends all of from to to. */
void waiters_move(Waiter **to, Waiter **from);

/* Empties the list first, then calls all in the order they were added. */
void waiters_complete(Waiter **list, Object *object, int r, const Error *e);

/* Initialises the head; namespace and name are copied. 0 or -ENOMEM. */
int object_init(Object *o, Manager *m, ObjectType type, const char *namespace, const char *name);

/* Unlinks if need be and frees what the head owns (not o itself). */
void object_done(Object *o);

/* Puts it into the index and tells the observer. 0, -EEXIST, -ENOMEM. */
int object_link(Object *o);
void object_unlink(Object *o);

/* Its properties changed. No-op while it is not linked. */
void object_mark_dirty(Object *o);

/* Tells the observer now, if it is dirty: what is passed through quickly would not be seen. */
void object_tell_change(Object *o);

/* The same with all that are dirty: before somebody is answered, who may look at any of them. */
void objects_tell_changes(Manager *m);

/* The object or NULL. */
Object *object_find(Manager *m, ObjectType type, const char *namespace, const char *name);

/* Calls f for each object of the type in the order of (namespace, name) until it returns other than
 * 0, and returns that. namespace NULL: all. f must not link or unlink objects. */
int object_foreach(Manager *m, ObjectType type, const char *namespace,
                   int (*f)(Object *o, void *userdata), void *userdata);

size_t object_count(const Manager *m, ObjectType type);
