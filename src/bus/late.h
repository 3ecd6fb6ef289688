/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls whose answer comes when the core has done something: the message is kept, the core gets
 * late_complete() as its Callback.
 *
 * Invariant: between late_new() and its end a Late is in the list, and the core calls it back
 * exactly once. A caller that left the bus loses only its message; the operation goes on. One that
 * only waited is taken out of the object's waiters, so that coming and going costs nothing. When
 * the service ends (-ESHUTDOWN) nothing is answered: the bus tells the callers that we are gone, as
 * it does after a crash, and they may ask our successor.
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "manager/object.h"

typedef struct Service Service;
typedef struct Late Late;

/* Answers m. object is what the operation was called on and may be NULL; the operation succeeded.
 * Returns what sd_bus_reply_method_return() does. */
typedef int (*LateReply)(sd_bus_message *m, Object *object);

typedef struct LateList {
        Late *first;
        size_t n;
} LateList;

/* Refuses when too many calls of the same user wait already. */
int late_new(Service *s, sd_bus_message *m, LateReply reply, Late **ret, sd_bus_error *error);

/* The Callback; userdata is the Late. */
void late_complete(Object *object, int r, const Error *e, void *userdata);

/* Who has an answer has heard of all that came before it: late_complete() does this by itself. */
void late_tell_changes(const Late *late);

/* An answer of another kind was sent, which r is the result of: frees late, after answering with
 * the error if there is one. */
void late_answered(Late *late, int r);

/* The same as late_complete(), with the names (as) of late_set_names() as the answer. */
void late_complete_names(Object *object, int r, const Error *e, void *userdata);

/* What a method returns after it gave late to a function of the core that returned r: 1, or the
 * error after freeing late. */
int late_started(Late *late, int r, const Error *e, sd_bus_error *error);

/* The caller's message, or NULL if it left the bus. */
sd_bus_message *late_message(const Late *late);

/* late_complete() was added to this list of an object's waiters and to nothing else. */
void late_set_waiters(Late *late, Waiter **waiters);

/* Something that is needed until the end; destroy is called with it then. */
void late_set_payload(Late *late, void *payload, void (*destroy)(void *payload));
void *late_payload(const Late *late);

/* Names, an array of strings, that late_complete_names() replies with: it may still grow. The
 * reference is taken over. */
void late_set_names(Late *late, json_t *names);

/* How many calls of its user have a payload with the same destroy, this one included; 0 for root's.
 */
size_t late_count_alike(const Late *late) _pure_;

Late *late_free(Late *late);
DEFINE_CLEANUP(Late *, late_free);

/* The caller with this unique name has left. */
void late_drop_sender(LateList *list, const char *sender);

/* Forgets all. */
void late_free_all(LateList *list);

/* Replies without arguments. */
int late_reply_empty(sd_bus_message *m, Object *object);
