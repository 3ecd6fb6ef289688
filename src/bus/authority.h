/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who calls, and what polkit says about it, without ever waiting: a message whose answer is not
 * known yet is parked, the question is asked asynchronously, and when the answer is there the
 * message is put into the read queue again. sd-bus then looks its object up afresh and runs its
 * method a second time, which finds the answer here.
 *
 * Invariants: a parked message has exactly one Query; it ends by being run again, by an error reply
 * or with its caller. Until the caller's uid is known, its messages are kept in their order.
 */

#include <systemd/sd-bus.h>

#include "basic/error.h"

typedef struct Authority Authority;

/* What a question to polkit is about; members may be NULL. They become the details of the check:
 * rules can decide by them and messages can show them. */
typedef struct AuthorityDetails {
        const char *namespace, *container, *image;
} AuthorityDetails;

/* So many things may one call be about. */
#define AUTHORITY_DETAILS_MAX 32

/* Sees every incoming message and the end of callers from now on. */
int authority_new(sd_bus *bus, Authority **ret, Error *e);
Authority *authority_free(Authority *a);
DEFINE_CLEANUP(Authority *, authority_free);

/* 1 and the uid of m's sender; 0 if m was parked; a negative errno with error set. */
int authority_sender(Authority *a, sd_bus_message *m, uid_t *ret, sd_bus_error *error);

/* 1 if polkit grants action to m's sender; 0 if m was parked; a negative errno with error set if it
 * does not. The same question about the same message is asked once; what differs in the second run,
 * because the object changed, is asked anew, a few times at most. */
int authority_check(Authority *a, sd_bus_message *m, uid_t uid, const char *action,
                    const AuthorityDetails *d, sd_bus_error *error);

/* The decision about m is made: forgets what was asked for it. */
void authority_decided(Authority *a, sd_bus_message *m);

/* The caller with this unique name has left: drops and cancels its questions. */
void authority_drop_sender(Authority *a, const char *sender);

/* 1 and the uid if sender was asked about before, else 0. */
int authority_known_sender(const Authority *a, const char *sender, uid_t *ret);

/* How many messages wait for an answer or to be run again. */
size_t authority_pending(const Authority *a);
