/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/client.h"

#include "basic/clock.h"
#include "ctl/polkit-agent.h"

#define ATTEMPTS_MAX       12
#define FIRST_ATTEMPTS_MAX 3
#define ATTEMPT_DELAY_USEC (20 * USEC_PER_MSEC) /* doubles each time */
#define ATTEMPT_DELAY_MAX  (2 * USEC_PER_SEC)
#define ATTEMPT_LASTED     (10 * USEC_PER_SEC) /* the service had recovered in between */

struct Request {
        Client *client;
        Call call;
        RequestHandler handler;
        void *userdata;
        sd_bus_slot *slot;
        sd_event_source *timer;
        uint64_t sent_at;
        unsigned attempts;
        bool ambiguous, object_is_missing;
        Request *next, **link;
};

Request *request_free(Request *q) {
        if (!q)
                return NULL;
        sd_bus_slot_unref(q->slot);
        sd_event_source_disable_unref(q->timer);
        *q->link = q->next;
        if (q->next)
                q->next->link = q->link;
        free(q);
        return NULL;
}

Client *client_clear(Client *c) {
        if (!c)
                return NULL;
        while (c->requests)
                request_free(c->requests);
        client_unsubscribe(c);
        c->bus = sd_bus_flush_close_unref(c->bus);
        c->event = sd_event_unref(c->event);
        return NULL;
}

bool request_is_ambiguous(const Request *q) {
        return q->ambiguous;
}

bool request_object_is_missing(const Request *q) {
        return q->object_is_missing;
}

/* What the bus and systemd answer in place of a service that they cannot start. */
static bool is_activation_error(const char *name) {
        return streq(name, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               streq(name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               streq(name, "org.freedesktop.DBus.Error.TimedOut") ||
               startswith(name, "org.freedesktop.DBus.Error.Spawn.") ||
               startswith(name, "org.freedesktop.systemd1.");
}

/* The error of a reply. Errors of the bus itself are negative, those of the service's API named. */
static int error_from_bus(const Request *q, const sd_bus_error *b, Error *e) {
        const char *name = startswith(b->name, SERVICE ".Error.");
        const char *text = strempty(b->message);

        if (name)
                return error_setf(e, (int) error_code_from_string(name), "%s", text);
        if (streq(b->name, SD_BUS_ERROR_UNKNOWN_OBJECT) && q->call.what)
                return error_setf(e, CTR_NOT_FOUND, "%s \"%s\" does not exist", q->call.what,
                                  q->call.name);
        if (streq(b->name, SD_BUS_ERROR_ACCESS_DENIED) ||
            streq(b->name, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
                return error_setf(e, -EACCES, "%s is not allowed: %s", q->call.member, text);
        if (is_activation_error(b->name))
                return error_setf(e, -EHOSTUNREACH, "The service %s cannot be reached: %s", SERVICE,
                                  text);
        if (streq(b->name, SD_BUS_ERROR_INVALID_ARGS))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s", text);
        if (streq(b->name, SD_BUS_ERROR_UNKNOWN_METHOD) ||
            streq(b->name, SD_BUS_ERROR_UNKNOWN_INTERFACE))
                return error_setf(e, CTR_NOT_IMPLEMENTED, "The service does not know %s: %s",
                                  q->call.member, text);
        return error_setf(e, CTR_UNKNOWN, "%s failed: %s (%s)", q->call.member, text, b->name);
}

static void request_finish(Request *q, sd_bus_message *reply, Error *e) {
        q->slot = sd_bus_slot_unref(q->slot);
        q->timer = sd_event_source_disable_unref(q->timer);
        q->handler(q, reply, e, q->userdata);
        request_free(q);
}

static void request_fail(Request *q, int code, const char *text) {
        _cleanup_error_ Error e = ERROR_NULL;

        (void) error_setf(&e, code, "%s: %s", q->call.member, text);
        request_finish(q, NULL, &e);
}

static int request_send(Request *q, Error *e);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Request *q = userdata;
        Client *c = q->client;

        q->timer = sd_event_source_disable_unref(q->timer);
        if (c->bus && sd_bus_is_open(c->bus) <= 0)
                c->bus = sd_bus_close_unref(c->bus);
        if (client_connect(c, &e) != 0 || request_send(q, &e) != 0) {
                /* the bus is being restarted, perhaps */
                if (q->attempts < ATTEMPTS_MAX) {
                        q->attempts++;
                        if (sd_event_add_time_relative(c->event, &q->timer, CLOCK_MONOTONIC,
                                                       ATTEMPT_DELAY_MAX / 2, 0, on_retry, q) >= 0)
                                return 0;
                }
                request_finish(q, NULL, &e);
        }
        return 0;
}

/* ssh has ended before anything was answered: it has said why, and may ask for passwords. */
static bool is_host_unreachable(const Client *c) {
        return c->options->host && !c->was_answered && sd_bus_is_open(c->bus) <= 0;
}

/* 0 if the call will be sent again. */
static int request_again(Request *q) {
        uint64_t delay;

        if (is_host_unreachable(q->client))
                return -EHOSTUNREACH;
        if (++q->attempts >= ATTEMPTS_MAX)
                return -ECONNRESET;
        delay = MIN_OF(ATTEMPT_DELAY_USEC << (q->attempts - 1), ATTEMPT_DELAY_MAX);
        q->slot = sd_bus_slot_unref(q->slot);
        return sd_event_add_time_relative(q->client->event, &q->timer, CLOCK_MONOTONIC, delay,
                                          USEC_PER_MSEC, on_retry, q);
}

typedef enum Loss {
        LOSS_NONE,      /* it was answered */
        LOSS_UNSENT,    /* it did not reach the service */
        LOSS_AMBIGUOUS, /* nobody knows whether it was carried out */
} Loss;

static Loss request_loss(const Request *q, const sd_bus_error *b) {
        if (streq(b->name, SD_BUS_ERROR_NO_REPLY) || streq(b->name, SD_BUS_ERROR_DISCONNECTED))
                return LOSS_AMBIGUOUS;
        if (!is_activation_error(b->name))
                return LOSS_NONE;
        /* one that was there is being restarted */
        if (q->client->was_answered || q->ambiguous)
                return LOSS_UNSENT;
        /* one that was never seen is not installed; or it was killed when it had hardly begun */
        if (!streq(b->name, SD_BUS_ERROR_SERVICE_UNKNOWN) && q->attempts < FIRST_ATTEMPTS_MAX)
                return LOSS_UNSENT;
        return LOSS_NONE;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const sd_bus_error *b = sd_bus_message_get_error(m);
        Request *q = userdata;
        Loss loss;
        bool lasted;

        if (!b) {
                q->client->was_answered = true;
                request_finish(q, m, NULL);
                return 1;
        }
        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) &&
            q->call.timeout != UINT64_MAX && now_monotonic() - q->sent_at >= q->call.timeout) {
                request_fail(q, -ETIMEDOUT, "the service did not answer in time");
                return 1;
        }
        loss = request_loss(q, b);
        if (loss == LOSS_NONE) {
                q->object_is_missing = streq(b->name, SD_BUS_ERROR_UNKNOWN_OBJECT);
                (void) error_from_bus(q, b, &e);
                request_finish(q, NULL, &e);
                return 1;
        }
        lasted = now_monotonic() - q->sent_at >= ATTEMPT_LASTED;
        if (loss == LOSS_AMBIGUOUS) {
                q->ambiguous = true;
                if (lasted)
                        q->attempts = 0;
        }
        if (loss == LOSS_AMBIGUOUS && q->call.once)
                request_fail(q, -ECONNRESET, "the service went away before it answered");
        else if (loss == LOSS_UNSENT && lasted) /* the bus has tried for that long */
                request_fail(q, -ECONNREFUSED, "the service cannot be reached: it failed to start");
        else if (request_again(q) < 0)
                request_fail(q, -ECONNRESET,
                             is_host_unreachable(q->client)
                                             ? "there is no connection to that host"
                                             : "the service went away and does not come back");
        return 1;
}

static int call_to_message(Request *q, sd_bus_message **ret, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const Call *call = &q->call;
        int r;

        r = sd_bus_message_new_method_call(q->client->bus, &m, SERVICE, call->path ?: PATH_MANAGER,
                                           call->interface, call->member);
        if (r < 0)
                return error_setf(e, r, "Failed to call %s: %m", call->member);
        r = call->append ? call->append(m, call->userdata) : 0;
        if (r == -EINVAL) /* the one thing that sd-bus finds wrong with a value */
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Failed to call %s: an argument is not valid UTF-8",
                                  call->member);
        if (r < 0)
                return error_setf(e, r, "Failed to call %s: %m", call->member);
        *ret = TAKE_PTR(m);
        return 0;
}

static int request_send(Request *q, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_to_message(q, &m, e);
        if (r != 0)
                return r;
        q->sent_at = now_monotonic();
        r = sd_bus_call_async(q->client->bus, &q->slot, m, on_reply, q, q->call.timeout);
        return r < 0 ? error_setf(e, r, "Failed to call %s: %m", q->call.member) : 0;
}

int client_request(Client *c, const Call *call, RequestHandler handler, void *userdata,
                   Request **ret, Error *e) {
        Request *q;
        int r;

        assert(c && c->bus && call && handler);

        q = malloc(sizeof(Request));
        if (!q)
                return error_setf(e, -ENOMEM, "Out of memory");
        *q = (Request){.client = c, .call = *call, .handler = handler, .userdata = userdata};
        if (q->call.timeout == 0)
                q->call.timeout = CALL_TIMEOUT_USEC;
        q->next = c->requests;
        q->link = &c->requests;
        if (q->next)
                q->next->link = &q->next;
        c->requests = q;

        if (sd_bus_is_open(c->bus) > 0)
                r = request_send(q, e);
        else { /* the connection was lost before: it is made anew */
                r = request_again(q);
                if (r < 0)
                        (void) error_setf(e, r, "Failed to call %s again: %m", call->member);
        }
        if (r != 0) {
                request_free(q);
                return r;
        }
        if (ret)
                *ret = q;
        return 0;
}

typedef struct Answer {
        bool done;
        sd_bus_message *reply;
        Error error;
} Answer;

static void on_answer(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Answer *a = userdata;

        a->done = true;
        a->reply = sd_bus_message_ref(reply);
        if (e)
                (void) error_move(&a->error, e);
}

int client_call(Client *c, const Call *call, sd_bus_message **ret, Error *e) {
        Answer answer = {};
        Request *q;
        int r;

        r = client_request(c, call, on_answer, &answer, &q, e);
        if (r != 0)
                return r;
        r = client_loop(c, &answer.done, e);
        if (r != 0) {
                request_free(q);
                return r;
        }
        if (!answer.reply)
                return error_move(e, &answer.error);
        if (ret)
                *ret = answer.reply;
        else
                sd_bus_message_unref(answer.reply);
        return 0;
}

int client_loop(Client *c, const bool *done, Error *e) {
        while (!*done) {
                int r = sd_event_run(c->event, UINT64_MAX);

                if (r < 0)
                        return error_setf(e, r, "Event loop failed: %m");
        }
        return 0;
}

static int subscription_add(Client *c, Subscription *s) {
        s->slot = sd_bus_slot_unref(s->slot);
        /* not waited for: what is sent afterwards arrives at the bus afterwards */
        return sd_bus_add_match_async(c->bus, &s->slot, s->match, s->handler, NULL, s->userdata);
}

void client_unsubscribe(Client *c) {
        while (c->n_subscriptions > 0)
                sd_bus_slot_unref(c->subscriptions[--c->n_subscriptions].slot);
}

int client_subscribe(Client *c, const char *match, sd_bus_message_handler_t handler, void *userdata,
                     Error *e) {
        Subscription *s = c->subscriptions + c->n_subscriptions;
        int r;

        assert(c->n_subscriptions < SUBSCRIPTIONS_MAX);

        *s = (Subscription){.match = match, .handler = handler, .userdata = userdata};
        c->n_subscriptions++;
        r = subscription_add(c, s);
        return r < 0 ? error_setf(e, r, "Failed to subscribe to signals: %m") : 0;
}

static int connect_bus(Client *c, sd_bus **ret, Error *e) {
        const char *host = c->options->host;
        int r;

        if (!host && !c->options->no_ask_password)
                polkit_agent_open();
        r = host ? sd_bus_open_system_remote(ret, host) : sd_bus_open_system(ret);
        if (r < 0)
                return error_setf(e, r, "Failed to connect to the system bus%s%s: %m",
                                  host ? " of " : "", strempty(host));
        return 0;
}

int client_connect(Client *c, Error *e) {
        int r;

        if (c->bus)
                return 0;
        if (!c->event) {
                r = sd_event_new(&c->event);
                if (r < 0)
                        return error_setf(e, r, "Failed to make an event loop: %m");
        }
        r = connect_bus(c, &c->bus, e);
        if (r != 0)
                return r;
        r = sd_bus_attach_event(c->bus, c->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_allow_interactive_authorization(c->bus,
                                                               !c->options->no_ask_password);
        for (size_t i = 0; r >= 0 && i < c->n_subscriptions; i++)
                r = subscription_add(c, c->subscriptions + i);
        if (r < 0) {
                c->bus = sd_bus_close_unref(c->bus);
                return error_setf(e, r, "Failed to set up the bus connection: %m");
        }
        return 0;
}
