/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/query.h"

#include "basic/log.h"

int query_new(Authority *a, sd_bus_message *m, Query **ret) {
        Query *q;

        q = malloc(sizeof(Query));
        if (!q)
                return -ENOMEM;
        *q = (Query){
                        .authority = a,
                        .previous = a->last,
                        .message = sd_bus_message_ref(m),
                        .state = QUERY_RUNNING,
        };
        if (a->last)
                a->last->next = q;
        else
                a->first = q;
        a->last = q;
        a->n_queries++;
        *ret = q;
        return 0;
}

Query *query_free(Query *q) {
        if (!q)
                return NULL;

        if (q->state == QUERY_POLKIT)
                polkit_cancel(q);
        *(q->previous ? &q->previous->next : &q->authority->first) = q->next;
        *(q->next ? &q->next->previous : &q->authority->last) = q->previous;
        q->authority->n_queries--;

        for (size_t i = 0; i < q->n_answers; i++) {
                free(q->answers[i].question);
                sd_bus_error_free(&q->answers[i].error);
        }
        free(q->question);
        free(q->cancellation_id);
        sd_bus_slot_unref(q->slot);
        sd_bus_message_unref(q->message);
        free(q);
        return NULL;
}

Query *query_find(const Authority *a, const sd_bus_message *m) {
        for (Query *q = a->first; q; q = q->next)
                if (q->message == m)
                        return q;
        return NULL;
}

const char *query_sender(const Query *q) {
        return sd_bus_message_get_sender(q->message);
}

void query_run_again(Query *q) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        q->slot = sd_bus_slot_unref(q->slot);
        q->state = QUERY_QUEUED;
        r = sd_bus_message_rewind(q->message, true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(q->authority->bus, q->message);
        if (r < 0) {
                (void) sd_bus_error_set_errno(&error, r);
                query_fail(q, &error);
        }
}

void query_fail(Query *q, const sd_bus_error *error) {
        int r;

        r = sd_bus_reply_method_error(q->message, error);
        if (r < 0)
                log_warning_errno(r, "Failed to answer %s: %m",
                                  sd_bus_message_get_member(q->message));
        q->state = QUERY_RUNNING; /* nothing to cancel */
        query_free(q);
}

const QueryAnswer *query_answer(const Query *q, const char *question) {
        for (size_t i = 0; i < q->n_answers; i++)
                if (streq(q->answers[i].question, question))
                        return &q->answers[i];
        return NULL;
}
