/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The connection to the service, and calls on it that outlive the service.
 *
 * A call is a description of a message, not a message: when the service or the bus goes away before
 * it has answered, the message is made and sent again, which activates the service again. So a Wait
 * that began under one process of the service is answered by the next. What is sent again may have
 * been done already: request_is_ambiguous() tells, and the caller takes "already there" for
 * success. The number of attempts is bounded; one that lasted starts the count anew.
 *
 * Invariant: a request calls its handler exactly once, or is freed before.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "basic/error.h"
#include "ctl/options.h"

#define SERVICE              "org.example.Ctr"
#define INTERFACE_MANAGER    SERVICE ".Manager"
#define INTERFACE_IMAGE      SERVICE ".Image"
#define INTERFACE_CONTAINER  SERVICE ".Container"
#define INTERFACE_TASK       SERVICE ".Task"
#define INTERFACE_PROCESS    SERVICE ".Process"
#define INTERFACE_JOB        SERVICE ".Job"
#define INTERFACE_PROPERTIES "org.freedesktop.DBus.Properties"
#define PATH_MANAGER         "/org/example/Ctr"

/* Long enough for somebody to type a password. What waits for a container has no limit. */
#define CALL_TIMEOUT_USEC (120 * USEC_PER_SEC)

#define SUBSCRIPTIONS_MAX 4

typedef struct Client Client;
typedef struct Request Request;

/* What to call. The strings and userdata must live until the request has ended. */
typedef struct Call {
        const char *path; /* NULL: the manager */
        const char *interface, *member;
        /* Appends the arguments; NULL: none. 0 or -errno; no side effects, it may run again. */
        int (*append)(sd_bus_message *m, void *userdata);
        void *userdata;
        const char *what, *name; /* for "container "x" does not exist" */
        uint64_t timeout;        /* 0: CALL_TIMEOUT_USEC, UINT64_MAX: none */
        bool once;               /* must not be sent twice */
} Call;

/* reply is NULL and e is set if the call failed. e may be taken with error_move(). */
typedef void (*RequestHandler)(Request *q, sd_bus_message *reply, Error *e, void *userdata);

typedef struct Subscription {
        const char *match;
        sd_bus_message_handler_t handler;
        void *userdata;
        sd_bus_slot *slot;
} Subscription;

struct Client {
        const Options *options;
        sd_event *event;
        sd_bus *bus; /* NULL: not connected yet */
        Request *requests;
        Subscription subscriptions[SUBSCRIPTIONS_MAX];
        size_t n_subscriptions;
        bool was_answered; /* the service has been there */
};

Client *client_clear(Client *c);
DEFINE_CLEANUP(Client *, client_clear);

/* Makes the event loop and starts to connect; calls may be made at once. */
int client_connect(Client *c, Error *e);

/* Sends a call; handler is called from the loop. *ret (may be NULL) is valid until then. */
int client_request(Client *c, const Call *call, RequestHandler handler, void *userdata,
                   Request **ret, Error *e);

/* Sends a call and waits. *ret (may be NULL) is the reply. */
int client_call(Client *c, const Call *call, sd_bus_message **ret, Error *e);

/* Receives signals on this and every later connection. The strings must be constant. */
int client_subscribe(Client *c, const char *match, sd_bus_message_handler_t handler, void *userdata,
                     Error *e);

/* Ends all subscriptions. */
void client_unsubscribe(Client *c);

/* Runs the loop until *done. */
int client_loop(Client *c, const bool *done, Error *e);

/* Forgets a request without calling its handler. Returns NULL; NULL-safe. */
Request *request_free(Request *q);

/* Whether an earlier attempt may have been carried out although nobody has said so. */
bool request_is_ambiguous(const Request *q) _pure_;

/* Whether the call failed because the object is not there (what the service itself looked for and
 * did not find is CTR_NOT_FOUND without this). */
bool request_object_is_missing(const Request *q) _pure_;

/* The namespace that the options name. */
const char *client_namespace(const Client *c) _pure_;

/* "/org/example/Ctr/KIND/NAMESPACE/ID", malloc'ed; NULL: out of memory. */
char *client_object_path(const Client *c, const char *kind, const char *id);

/* The path of an exec, malloc'ed; NULL: out of memory. */
char *client_exec_path(const Client *c, const char *id, const char *exec_id);

/* The path of a process: NAME is a container's id, or ID/EXEC for one of its execs. malloc'ed;
 * NULL: out of memory. */
char *client_process_path(const Client *c, const char *name);

/* For Call.append: an empty a{sv}. */
int append_no_options(sd_bus_message *m, void *userdata);

/* For Call.append, userdata is the Client: an a{sv} that only has the namespace, if one is given.
 */
int append_namespace(sd_bus_message *m, void *userdata);

/* Appends {"Namespace": ...} to an open a{sv} if the user named one. */
int message_append_namespace(sd_bus_message *m, const Client *c);
