/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One parked message: the list of them, in the order in which they came, and what was answered
 * about each so far. Shared by authority.c (who decides) and polkit.c (who asks).
 */

#include <systemd/sd-bus.h>

#include "bus/authority.h"

/* with some for what changes while polkit is asked */
#define QUERY_ANSWERS_MAX (AUTHORITY_DETAILS_MAX + 3)

typedef enum QueryState {
        QUERY_SENDER,  /* waits for the uid of its sender */
        QUERY_POLKIT,  /* waits for polkit */
        QUERY_QUEUED,  /* its message is in the read queue again */
        QUERY_RUNNING, /* its method runs */
} QueryState;

typedef struct QueryAnswer {
        char *question;     /* action and details */
        sd_bus_error error; /* not set: granted */
} QueryAnswer;

typedef struct Query Query;
struct Query {
        Authority *authority;
        Query *previous, *next;
        sd_bus_message *message;
        QueryState state;
        sd_bus_slot *slot;  /* of the call that is under way; freeing it cancels the callback */
        const char *action; /* what polkit is being asked */
        char *question, *cancellation_id;
        bool uid_known;
        uid_t uid;
        QueryAnswer answers[QUERY_ANSWERS_MAX];
        size_t n_answers;
};

struct Authority {
        sd_bus *bus;
        sd_bus_slot *filter_slot;
        struct Sender *senders; /* uids by unique name; a ring, so that it is bounded */
        size_t next_sender;
        Query *first, *last;
        size_t n_queries;
        uint64_t last_cancellation;
};

int query_new(Authority *a, sd_bus_message *m, Query **ret);
Query *query_free(Query *q);
DEFINE_CLEANUP(Query *, query_free);

Query *query_find(const Authority *a, const sd_bus_message *m);
const char *query_sender(const Query *q);

/* Puts the message into the read queue again; on failure its caller gets the error. Frees q then.
 */
void query_run_again(Query *q);

/* Answers the message with an error and frees q. */
void query_fail(Query *q, const sd_bus_error *error);

/* The answer to question, or NULL. */
const QueryAnswer *query_answer(const Query *q, const char *question);

/* Asks polkit. The answer is added to q as that to question (taken over in any case), and its
 * message runs again. action is a constant. */
int polkit_check(Query *q, const char *action, const AuthorityDetails *d, char *question);

/* Tells polkit that nobody waits for the answer any more. */
void polkit_cancel(Query *q);
