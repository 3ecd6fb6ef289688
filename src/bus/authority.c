/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/authority.h"

#include "basic/log.h"
#include "bus/error.h"
#include "bus/query.h"

#define SENDERS_MAX         256U
#define QUERIES_PER_UID_MAX 64U /* waiting for polkit; root is never asked about */

/* Unique names are never given out twice, so what is known about one stays true. */
typedef struct Sender {
        char *name;
        uid_t uid;
} Sender;

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error);

int authority_new(sd_bus *bus, Authority **ret, Error *e) {
        _cleanup_(authority_freep) Authority *a = NULL;
        int r;

        a = calloc(1, sizeof(Authority));
        if (!a)
                return -ENOMEM;
        a->bus = sd_bus_ref(bus);
        a->senders = calloc(SENDERS_MAX, sizeof(Sender));
        if (!a->senders)
                return -ENOMEM;
        r = sd_bus_add_filter(bus, &a->filter_slot, on_message, a);
        if (r < 0)
                return error_setf(e, r, "Failed to watch incoming messages: %m");
        *ret = TAKE_PTR(a);
        return 0;
}

Authority *authority_free(Authority *a) {
        if (!a)
                return NULL;
        while (a->first)
                query_free(a->first);
        for (size_t i = 0; a->senders && i < SENDERS_MAX; i++)
                free(a->senders[i].name);
        free(a->senders);
        sd_bus_slot_unref(a->filter_slot);
        sd_bus_unref(a->bus);
        free(a);
        return NULL;
}

static int park(Authority *a, sd_bus_message *m);
static const Query *find_earlier(const Authority *a, const char *sender);

/* Runs before the method of each message: notes that a parked one runs now. One that ran before
 * without coming to its authorization (its object is gone) is forgotten. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(m);
        Authority *a = userdata;
        Query *next;
        uid_t uid;

        for (Query *q = a->first; q; q = next) {
                next = q->next;
                if (q->state == QUERY_RUNNING)
                        query_free(q);
                else if (q->state == QUERY_QUEUED && q->message == m)
                        q->state = QUERY_RUNNING;
        }
        /* All calls of a new sender wait, not only those that ask who it is: the second may be
         * about an object that the first one makes. */
        if (!sender || !sd_bus_message_is_method_call(m, NULL, NULL) || query_find(a, m) ||
            (!find_earlier(a, sender) && authority_known_sender(a, sender, &uid) > 0))
                return 0;
        return park(a, m);
}

size_t authority_pending(const Authority *a) {
        size_t n = 0;

        for (const Query *q = a->first; q; q = q->next)
                n += q->state != QUERY_RUNNING;
        return n;
}

int authority_known_sender(const Authority *a, const char *sender, uid_t *ret) {
        for (size_t i = 0; i < SENDERS_MAX; i++)
                if (streq_ptr(a->senders[i].name, sender)) {
                        *ret = a->senders[i].uid;
                        return 1;
                }
        return 0;
}

static void remember_sender(Authority *a, const char *name, uid_t uid) {
        Sender *s = &a->senders[a->next_sender];
        uid_t known;

        if (authority_known_sender(a, name, &known) > 0 || free_and_strdup(&s->name, name) < 0)
                return; /* without memory it is asked again next time */
        s->uid = uid;
        a->next_sender = (a->next_sender + 1) % SENDERS_MAX;
}

void authority_drop_sender(Authority *a, const char *sender) {
        Query *next;

        for (Query *q = a->first; q; q = next) {
                next = q->next;
                if (streq(query_sender(q), sender))
                        query_free(q);
        }
        for (size_t i = 0; i < SENDERS_MAX; i++)
                if (streq_ptr(a->senders[i].name, sender))
                        (void) free_and_strdup(&a->senders[i].name, NULL);
}

/* The uid of a sender was asked for once; all its messages that came since then run now, in their
 * order. */
static int on_sender(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *sender = NULL;
        Query *asked = userdata, *next;
        Authority *a = asked->authority;
        uint32_t uid = 0;
        int r = 0;

        if (failure)
                (void) sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
                                         "The bus does not know who calls: %s", failure->message);
        else {
                r = sd_bus_message_read(reply, "u", &uid);
                if (r < 0)
                        (void) sd_bus_error_set_errno(&error, r);
        }

        sender = strdup(query_sender(asked));
        if (!sender) {
                (void) sd_bus_error_set_errno(&error, -ENOMEM);
                query_fail(asked, &error);
                return 0;
        }
        if (!sd_bus_error_is_set(&error))
                remember_sender(a, sender, uid);

        for (Query *q = a->first; q; q = next) {
                next = q->next;
                if (q->state != QUERY_SENDER || !streq(query_sender(q), sender))
                        continue;
                if (sd_bus_error_is_set(&error)) {
                        query_fail(q, &error);
                        continue;
                }
                q->uid = uid;
                q->uid_known = true;
                query_run_again(q);
        }
        return 0;
}

static int ask_sender(Query *q) {
        return sd_bus_call_method_async(q->authority->bus, &q->slot, "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "GetConnectionUnixUser", on_sender, q, "s",
                                        query_sender(q));
}

/* The first message of sender that is not running yet, or NULL. */
static const Query *find_earlier(const Authority *a, const char *sender) {
        for (const Query *q = a->first; q; q = q->next)
                if ((q->state == QUERY_SENDER || q->state == QUERY_QUEUED) &&
                    streq(query_sender(q), sender))
                        return q;
        return NULL;
}

/* Keeps the message until it is known who sent it; it runs after those that came before. 1. */
static int park(Authority *a, sd_bus_message *m) {
        const Query *earlier = find_earlier(a, sd_bus_message_get_sender(m));
        _cleanup_(query_freep) Query *q = NULL;
        int r;

        r = query_new(a, m, &q);
        if (r < 0)
                return r;
        if (!earlier) {
                r = ask_sender(q);
                if (r < 0)
                        return r;
        }
        if (earlier && earlier->state == QUERY_QUEUED) {
                q->uid = earlier->uid;
                q->uid_known = true;
                query_run_again(TAKE_PTR(q));
                return 1;
        }
        q->state = QUERY_SENDER;
        TAKE_PTR(q);
        return 1;
}

int authority_sender(Authority *a, sd_bus_message *m, uid_t *ret, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(m);
        const Query *known = query_find(a, m), *earlier;
        int r;

        if (!sender)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "A caller without a name on the bus is nobody");
        if (known && known->uid_known) {
                *ret = known->uid;
                return 1;
        }
        earlier = find_earlier(a, sender);
        if (!earlier && authority_known_sender(a, sender, ret) > 0)
                return 1;

        r = park(a, m);
        return MIN_OF(r, 0);
}

static size_t count_polkit(const Authority *a, uid_t uid) {
        size_t n = 0;

        for (const Query *q = a->first; q; q = q->next)
                n += q->state == QUERY_POLKIT && q->uid == uid;
        return n;
}

static char *make_question(const char *action, const AuthorityDetails *d) {
        char *question;

        /* none of the parts can contain a line break */
        if (asprintf(&question, "%s\n%s\n%s\n%s", action, strempty(d->namespace),
                     strempty(d->container), strempty(d->image)) < 0)
                return NULL;
        return question;
}

int authority_check(Authority *a, sd_bus_message *m, uid_t uid, const char *action,
                    const AuthorityDetails *d, sd_bus_error *error) {
        _cleanup_free_ char *question = NULL;
        const QueryAnswer *answer;
        Query *q = query_find(a, m);
        int r;

        question = make_question(action, d);
        if (!question)
                return -ENOMEM;
        answer = q ? query_answer(q, question) : NULL;
        if (answer)
                return sd_bus_error_is_set(&answer->error)
                                       ? sd_bus_error_copy(error, &answer->error)
                                       : 1;

        if (q && q->n_answers >= QUERY_ANSWERS_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                         "What %s is about keeps changing",
                                         sd_bus_message_get_member(m));
        if (count_polkit(a, uid) >= QUERIES_PER_UID_MAX)
                return sd_bus_error_setf(error, BUS_ERROR_PREFIX "ResourceExhausted",
                                         "Too many calls of user %u wait for polkit",
                                         (unsigned) uid);
        if (!q) {
                r = query_new(a, m, &q);
                if (r < 0)
                        return r;
        }
        q->uid = uid;
        q->uid_known = true;
        return polkit_check(q, action, d, TAKE_PTR(question));
}

void authority_decided(Authority *a, sd_bus_message *m) {
        query_free(query_find(a, m));
}
